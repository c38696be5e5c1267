"""Archives in real stores of each kind: listed, filtered, estimated, sent and analysed from there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
import orjson
import pytest
from obstore.store import AzureStore, S3Store

from tests.backfill.conftest import Archive
from tests.conftest import MakeStage
from tests.footage.objects import servers
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

ODD = ["films/cam 7/a+b.mp4", "films/cam 7/ü\u202f日\u3000\u00ad.mp4", "films/deep/" + "é" * 100 + "/c.mp4"]
"""Videos; each has a name that some client would write in another way."""
OTHERS = {
    "films/cam 7/notes.txt": b"no video",
    "films/still-to-come.mp4": b"",
    "films/small.mp4": b"x",
    "films2/another prefix.mp4": b"x",
    "films": b"an object with the name of the prefix",
}
_PREFIXES = {"nanio": "aws_", "azurite": "azure_"}
SCHEMES = {"nanio": "s3", "fake-gcs-server": "gs", "azurite": "az"}


@dataclass(frozen=True, slots=True)
class Stores:
    """Running stores, those that can't run here with the reason, and a system that reads all of them."""

    urls: dict[str, str]
    missing: dict[str, str]
    stage: Stage

    def archive(self, name: str) -> Archive:
        if name in self.missing:
            pytest.skip(self.missing[name])
        return Archive(S3Store("archive", client_options={"allow_http": True}), self.stage)

    async def put(self, name: str, objects: dict[str, bytes]) -> None:
        """Through the store's own interface, from outside of what is tested."""
        environment = self.stage.system.environment
        for key, content in objects.items():
            if name == "fake-gcs-server":
                await asyncio.to_thread(servers.put_in_gcs, self.urls[name], key, content)
                continue
            options = {one.lower(): value for one, value in environment.items() if one.startswith(("AWS_", "AZURE_"))}
            kind: Callable[..., Any] = S3Store if name == "nanio" else AzureStore
            own = {one: value for one, value in options.items() if one.startswith(_PREFIXES[name])}
            store = kind("archive", client_options={"allow_http": True}, **own)
            await obstore.put_async(store, key, content, use_multipart=False)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, make_stage: MakeStage) -> Iterator[Stores]:
    starts: dict[str, tuple[Callable[..., Any], Callable[[str], dict[str, str]]]] = {
        "nanio": (servers.nanio, servers.s3_keys),
        "fake-gcs-server": (servers.gcs, servers.gcs_keys),
        "azurite": (servers.azure, servers.azure_keys),
    }
    urls: dict[str, str] = {}
    missing: dict[str, str] = {}
    environment: dict[str, str] = {}
    with ExitStack() as running:
        for name, (start, keys) in starts.items():
            try:
                url: str = running.enter_context(start(tmp_path_factory.mktemp(name)))
            except pytest.skip.Exception as reason:
                missing[name] = str(reason)
                continue
            urls[name] = url
            environment |= keys(url)
        prefixes = "s3://archive,gs://archive,az://archive,s3://nowhere,gs://nowhere,az://nowhere"
        stage = make_stage(environment | {"REELWIRE_SOURCES__OBJECT_PREFIXES": prefixes})
        yield Stores(urls, missing, stage)


@pytest.mark.parametrize("name", list(SCHEMES))
async def test_an_archive_in_a_store_is_listed_filtered_sent_and_analysed(
    stores: Stores, name: str, tmp_path: Path
) -> None:
    archive, scheme = stores.archive(name), SCHEMES[name]
    films = {key: stores.stage.clip().read_bytes() for key in ODD}
    others = dict(OTHERS)
    if name == "nanio":
        del others["films"]  # it keeps objects as files: none has the name of a folder
    await stores.put(name, films | others)
    place = f"{scheme}://archive/films"

    plan = await archive.run(place, "--dry-run", "--json")
    assert plan.code == 0, plan.err
    told = plan.json[-1]
    assert (told["objects"], told["bytes"], told["to_send"]) == (4, sum(map(len, films.values())) + 1, 4)
    assert told["left_out"] == {"seen": 6, "by_reason": {"ending": 1, "empty": 1}, "first_name": None}
    filtered = await archive.run(
        place, "--dry-run", "--json", "--glob", "**/cam 7/*", "--exclude", "*b.mp4", "--min-size", "10"
    )
    assert filtered.json[-1]["objects"] == 1, filtered.json
    assert filtered.json[-1]["left_out"]["by_reason"] == {"glob": 3, "exclude": 1, "size": 1}
    old = await archive.run(place, "--dry-run", "--json", "--until", "1h")
    assert (old.json[-1]["objects"], old.json[-1]["left_out"]["by_reason"]["time"]) == (0, 4)

    work = (place, "--prompt", f"What happens in {name}?", "--min-size", "2", "--rate", "50/s")
    sent = await archive.run(*work, "--report", str(tmp_path / "r.csv"), "--json")
    assert sent.code == 0, sent.err
    assert (sent.json[-1]["sent_now"], sent.json[-1]["completed"], sent.json[-1]["failed"]) == (3, 3, 0)
    bodies = [orjson.loads(record.value) for record in await archive.requests()]
    assert sorted(body["video"]["uri"] for body in bodies if urlsplit(body["video"]["uri"]).scheme == scheme) == sorted(
        f"{scheme}://archive/{key}" for key in ODD
    )
    assert f"{scheme}://archive/{ODD[1]}," in (tmp_path / "r.csv").read_text()
    again = await archive.run(*work, "--json")
    assert (again.code, again.json[-1]["sent_now"], again.json[-1]["completed"]) == (0, 0, 3)
    await stores.put(name, {ODD[0]: stores.stage.clip().read_bytes()})
    replaced = await archive.run(*work, "--json")
    assert (replaced.code, replaced.json[-1]["sent_now"], replaced.json[-1]["completed"]) == (0, 1, 3), replaced.err


@pytest.mark.parametrize("name", list(SCHEMES))
async def test_a_place_without_objects_and_one_that_is_not_there_are_told_apart(stores: Stores, name: str) -> None:
    archive, scheme = stores.archive(name), SCHEMES[name]
    empty = await archive.run(f"{scheme}://archive/nothing", "--no-wait")
    assert (empty.code, f"nothing is below {scheme}://archive/nothing; check the name" in empty.err) == (0, True)
    missing = await archive.run(f"{scheme}://nowhere", "--no-wait")
    assert missing.code == 1, missing.err
    assert f"{scheme}://nowhere can't be listed: there is no such bucket" in missing.err


@pytest.mark.parametrize("name", list(SCHEMES))
async def test_more_objects_than_one_answer_holds_are_listed_each_once(stores: Stores, name: str) -> None:
    archive, scheme = stores.archive(name), SCHEMES[name]
    await asyncio.gather(*(stores.put(name, {f"many/{at:04}.mp4": b"x" for at in part}) for part in _parts(1_100, 20)))
    plan = await archive.run(f"{scheme}://archive/many", "--dry-run", "--json")
    assert (plan.json[-1]["objects"], plan.json[-1]["bytes"]) == (1_100, 1_100), plan.err


def _parts(count: int, parts: int) -> list[range]:
    return [range(at, count, parts) for at in range(parts)]
