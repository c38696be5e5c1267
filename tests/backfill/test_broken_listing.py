"""A listing that fails in the middle goes on where it was, or ends with words; nothing is sent twice or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import orjson
import pytest

from service.backfill.errors import ArchiveUnreadable
from service.backfill.listing import store as listing
from service.backfill.listing.archive import open_archive
from service.footage.objects import stores
from service.settings import SourceSettings
from tests.backfill.broken_store import BrokenStore, Fault
from tests.backfill.conftest import Archive, Make, ids
from tests.footage.objects import servers

NAMES = [f"long/{number:05}.mp4" for number in range(1_020)]
SOURCES = SourceSettings(object_prefixes=("s3://archive",), file_timeout_seconds=5)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Callable[[BrokenStore], None]:
    """Let the client of this process ask there, and be quick about trying again."""
    monkeypatch.setattr(listing, "_PAUSE_SECONDS", 0.0)

    def ask(store: BrokenStore) -> None:
        for name, value in servers.s3_keys(store.url).items():
            monkeypatch.setenv(name, value)
        stores._store.cache_clear()

    return ask


async def listed() -> list[str]:
    return [found.relative async for found in open_archive("s3://archive/long", SOURCES).objects()]


@pytest.mark.integration
@pytest.mark.parametrize("fault", ["500", "cut", "half"])
async def test_a_fault_that_passes_is_not_noticed(asking: Callable[[BrokenStore], None], fault: Fault) -> None:
    async with BrokenStore(NAMES).serving() as store:
        asking(store)
        store.faults.extend([fault] * (7 if fault == "500" else 4))  # what has begun the client does not ask for again
        assert [f"long/{name}" for name in await listed()] == NAMES
        assert not store.faults


@pytest.mark.integration
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("403", "s3://archive/long can't be listed: access is denied; grant this command the right to list the bucket"),
        ("500", "the store can't be reached or gives no answer of use; check credentials and endpoint"),
        ("cut", "the store can't be reached or gives no answer of use; check credentials and endpoint"),
        ("redirect", "the bucket is in another region; set AWS_REGION"),
    ],
)
async def test_a_fault_that_stays_ends_the_listing_with_words(
    asking: Callable[[BrokenStore], None], fault: Fault, said: str
) -> None:
    async with BrokenStore(NAMES).serving() as store:
        asking(store)
        store.always = fault
        with pytest.raises(ArchiveUnreadable) as refused:
            await listed()
        assert said in str(refused.value)
        assert store.asked <= 1 + 5 * 3


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("long/a//b.mp4", "the name long/a//b.mp4 has an empty part"),
        ("long/a/../b.mp4", "the name long/a/../b.mp4 has"),
        ("long/a\x07b.mp4", "control character"),
        ("long/a\nb.mp4", "control character"),
    ],
)
async def test_a_name_that_the_client_can_not_read_is_told(
    asking: Callable[[BrokenStore], None], name: str, said: str
) -> None:
    async with BrokenStore([*NAMES[:3], name]).serving() as store:
        asking(store)
        with pytest.raises(ArchiveUnreadable) as refused:
            await listed()
        print(refused.value)
        assert said in str(refused.value)
        assert name.isprintable() or name not in str(refused.value)


@pytest.mark.acceptance
async def test_a_denial_in_the_middle_ends_the_command_and_the_same_command_goes_on(make_archive: Make) -> None:
    async with BrokenStore(NAMES).serving() as store:
        store.always = "403"
        archive: Archive = make_archive(serve=False, AWS_ENDPOINT_URL=store.url)
        work = ("s3://archive/long", "--prompt", "What happens?", "--no-wait", "--max-lag", "1000000")
        broken = await archive.run(*work)
        assert broken.code == 1, broken.err
        assert "access is denied" in broken.err
        assert "the same command goes on from here, and sends nothing twice" in broken.err
        before = await archive.requests()
        assert 500 <= len(before) <= 1_000
        store.always = None
        whole = await archive.run(*work, "--json")
        assert (whole.code, whole.json[-1]["sent_now"]) == (0, len(NAMES) - len(before)), whole.err
        found = await archive.requests()
        assert Counter(ids(found)).most_common(1)[0][1] == 1
        assert {orjson.loads(one.value)["video"]["uri"] for one in found} == {f"s3://archive/{name}" for name in NAMES}
