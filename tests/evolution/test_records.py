"""What earlier versions have written is read today: their jobs go on and end once, and ended requests are known."""

from __future__ import annotations

import asyncio
import gzip
import io
import tarfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import orjson
import pytest
from confluent_kafka.admin import AdminClient

from contracts.topics import Role
from service.domain.job import Phase, UnreadableJobRecord, decode_job, encode_job
from service.kafka.control.records import UnreadablePause, decode_pause, is_pause
from service.kafka.handover.records import NoteReader
from service.kafka.ledger.records import (
    ASK_KEY,
    GIVE_BACK_KEY,
    SNAPSHOT_KEY,
    UnreadableLedgerRecord,
    read_ask,
    read_give_back,
    read_snapshot,
)
from service.kafka.ledger.spending_records import SPENDING_KEY, SpendingBook
from service.kafka.logs.asset_note import decode_note
from service.kafka.logs.claims import CLAIM_PREFIX, read_claim
from service.kafka.logs.finished import decode_finished
from service.kafka.logs.session_note import SESSION_PREFIX, read_session
from service.kafka.ports import InRecord
from service.sandbox.broker.broker import Broker
from service.sandbox.system import System, own_names
from tests.evolution.record import MORE, NAMES, VIDEOS
from tests.evolution.recording import Recorded, latest, load
from tests.evolution.scene import ENDED, HELD, SETTINGS
from tests.harness.stage import BRISK, QUICK, Stage

RECORDS = Path(__file__).parent / "records"
VERSIONS = sorted(path.name for path in RECORDS.iterdir())
FIRST = VERSIONS[0]
_YEARS = "100000"
LATER = {
    "REELWIRE_JOBS__DEDUP_HOURS": _YEARS,
    "REELWIRE_ASSETS__REUSE_HOURS": _YEARS,
    "REELWIRE_TOPICS__RETENTION_HOURS": _YEARS,
    "REELWIRE_JOBS__TASK_PATIENCE_SECONDS": "1e12",
}
"""The records are as old as they are, whenever the test is run."""

pytestmark = pytest.mark.timeout(240)


def recorded(version: str) -> list[Recorded]:
    return load(RECORDS / version / "records.gz")


def in_record(record: Recorded, value: bytes | None = None) -> InRecord:
    given = record.value if value is None else value
    return InRecord(record.role, record.partition, record.offset, 0, record.key, given, record.headers)


# Each kind of record, and how it is read: something that is not None, or an error of its own.

Read = Callable[[Recorded, bytes], object]
READERS: dict[str, tuple[Callable[[Recorded], object], Read]] = {
    "job": (
        lambda one: one.role is Role.JOBS and one.key is not None and not one.key.startswith(b"!"),
        lambda one, value: decode_job(value),
    ),
    "finished": (
        lambda one: one.role is Role.FINISHED and one.key is not None and not one.key.startswith(b"!"),
        lambda one, value: decode_finished(value),
    ),
    "asset": (
        lambda one: one.role is Role.ASSETS and one.key is not None and not one.key.startswith(b"!"),
        lambda one, value: decode_note("identity", value),
    ),
    "claim": (
        lambda one: one.role is Role.ASSETS and one.key is not None and one.key.startswith(CLAIM_PREFIX),
        lambda one, value: (read_claim(one.key or b"", value) or [None])[-1],
    ),
    "session": (
        lambda one: one.role is Role.ASSETS and one.key is not None and one.key.startswith(SESSION_PREFIX),
        lambda one, value: read_session(one.key or b"", value)[1],
    ),
    "handover": (
        lambda one: one.role is Role.HANDOVERS and one.key is not None and not one.key.startswith(b"!"),
        lambda one, value: NoteReader().read([in_record(one, value)]) or None,
    ),
    "ask": (lambda one: one.key == ASK_KEY, lambda one, value: read_ask(value)),
    "give-back": (lambda one: one.key == GIVE_BACK_KEY, lambda one, value: read_give_back(value)),
    "snapshot": (lambda one: one.key == SNAPSHOT_KEY, lambda one, value: read_snapshot(value)[0].snapshot()),
    "spending": (
        lambda one: one.key == SPENDING_KEY and "settles" not in one.body,
        lambda one, value: SpendingBook().fold(in_record(one, value)),
    ),
    "pause": (lambda one: is_pause(one.key), lambda one, value: decode_pause(one.key or b"", value)),
}
FROM_THE_FIRST = {"job", "finished", "asset", "claim"}
REFUSALS = (UnreadableJobRecord, UnreadableLedgerRecord, UnreadablePause)
SAMPLES = [
    (version, kind)
    for version in VERSIONS
    for kind in (READERS if version != FIRST else [kind for kind in READERS if kind in FROM_THE_FIRST])
]


def samples(version: str, kind: str) -> list[Recorded]:
    chosen, _ = READERS[kind]
    found = [one for one in recorded(version) if one.value is not None and chosen(one)]
    assert found, f"none was recorded by {version}"
    return found


@pytest.mark.unit
@pytest.mark.parametrize(("version", "kind"), SAMPLES)
def test_every_record_of_a_version_is_read(version: str, kind: str) -> None:
    for one in samples(version, kind):
        assert READERS[kind][1](one, one.value or b"") is not None, one


@pytest.mark.unit
@pytest.mark.parametrize(("version", "kind"), SAMPLES)
def test_members_that_this_version_does_not_know_change_nothing(version: str, kind: str) -> None:
    """A later version may write more, and be rolled back."""
    for one in samples(version, kind):
        more = (one.value or b"").replace(b'{"v":1,', b'{"v":1,"later":{"body":[1]},', 1)
        assert more != one.value
        assert READERS[kind][1](one, more) == READERS[kind][1](one, one.value or b"")


@pytest.mark.unit
@pytest.mark.parametrize(("version", "kind"), SAMPLES)
def test_a_record_of_a_later_version_is_refused_and_never_guessed_at(version: str, kind: str) -> None:
    one, said = samples(version, kind)[0], "its version is told"
    try:
        read = READERS[kind][1](one, (one.value or b"").replace(b'"v":1', b'"v":2', 1))
    except REFUSALS as error:
        read, said = None, str(error)
    assert read is None
    assert "version" in said


@pytest.mark.unit
@pytest.mark.parametrize("version", VERSIONS)
def test_jobs_in_every_phase_were_recorded_and_are_written_anew_without_loss(version: str) -> None:
    live = latest(recorded(version), Role.JOBS).items()
    jobs = [decode_job(one.value or b"") for key, one in live if not key.startswith(b"!")]
    assert {job.phase for job in jobs} == set(Phase) - {Phase.ENDED}
    assert [decode_job(encode_job(job)) for job in jobs] == jobs
    assert all(job.run == 1 for job in jobs)


@asynccontextmanager
async def replayed(broker: Broker, version: str, folder: Path) -> AsyncIterator[Stage]:
    """A system whose topics hold the records of a version, and whose platform knows what it knew."""
    videos, state = folder / "videos", folder / "emulator"
    videos.mkdir()
    with tarfile.open(
        fileobj=io.BytesIO(gzip.decompress((RECORDS / version / "platform.tar.gz").read_bytes()))
    ) as known:
        known.extractall(state, filter="data")
    environment = {**QUICK, **own_names(NAMES), **SETTINGS, **MORE, **LATER}
    system = System(broker.bootstrap_servers, folder=folder, environment=environment, file_roots=(videos,))
    stage = Stage(system, videos)
    records = recorded(version)
    for _ in range(4):  # the same ones as then, under the same names
        stage.clip()
    try:
        await system.start()
        await system.pace(**BRISK)
        await asyncio.to_thread(_write, system, records, str(videos))
        yield stage
    finally:
        for program in system.services.values():
            await program.stop()  # in order: a group with members can't be deleted
        await system.stop()
        await asyncio.to_thread(_delete, system)


def _write(system: System, records: Iterable[Recorded], videos: str) -> None:
    """Write records as they were, but for the place of the videos, and where completions are now."""
    settings, places = system.settings(), {}
    producer = confluent_kafka.Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "linger.ms": 5})

    def noted(record: Recorded) -> Callable[..., None]:
        def delivered(error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
            assert error is None, error
            places[record.role, record.partition, record.offset] = message.offset()

        return delivered

    ordered = sorted(records, key=lambda one: one.role is Role.FINISHED)
    for record in ordered:
        value = record.value
        if record.role is Role.FINISHED:
            producer.flush()
            value = _moved(record, places)
        if value is not None:
            value = value.replace(VIDEOS.encode(), videos.encode())
        producer.produce(
            getattr(settings.topics, record.role),
            value,
            record.key,
            record.partition,
            headers=list(record.headers),
            on_delivery=noted(record),
        )
    producer.flush()
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": settings.kafka.group_id}
    )
    ends: dict[int, int] = {}
    for (role, partition, _), offset in places.items():
        if role is Role.REQUESTS:
            ends[partition] = max(ends.get(partition, 0), offset + 1)
    consumer.commit(
        offsets=[confluent_kafka.TopicPartition(settings.topics.requests, *end) for end in ends.items()],
        asynchronous=False,
    )
    consumer.close()


def _moved(record: Recorded, places: dict[tuple[Role, int, int], int]) -> bytes | None:
    body = record.body
    if "completion" not in body:
        return record.value
    topic, partition, offset = body["completion"]
    return orjson.dumps(body | {"completion": [topic, partition, places[Role.COMPLETIONS, partition, offset]]})


def _delete(system: System) -> None:
    settings = system.settings()
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for done in admin.delete_topics([getattr(settings.topics, role) for role in Role]).values():
        done.result()
    for done in admin.delete_consumer_groups([settings.kafka.group_id]).values():
        done.result()


async def tasks_of(stage: Stage, request_id: str) -> int:
    tasks: dict[str, Any] = (await stage.system.stats())["tasks"]["by_custom_id"]
    return sum(len(made) for custom_id, made in tasks.items() if custom_id.startswith(f"{request_id}-"))


@pytest.mark.acceptance
@pytest.mark.parametrize("version", VERSIONS)
async def test_jobs_of_a_version_go_on_and_end_once(version: str, broker: Broker, tmp_path: Path) -> None:
    before = "" if version == FIRST else "now-"
    held = {before + (name.removeprefix("_") if before else name): phase for name, phase in HELD.items()}
    async with replayed(broker, version, tmp_path) as stage:
        await stage.system.finish()  # the tasks that the platform had
        await stage.system.serve()
        again = before + "called"
        await stage.request_producer.send(stage.analyze(again, stage.clip()), partition=_partition("called"))
        async with stage.watching() as observer:
            await observer.until_ended([*held, *(before + name for name in ENDED)])
            await observer.until(lambda: len(observer.completions[again]) == 2, "an ended request is known")
            first, second = observer.completions[again]
            assert (first.value, first.header("ce_id")) == (second.value, second.header("ce_id"))
            for name, phase in held.items():
                (end,) = observer.completions[name]
                canceled = phase is Phase.CANCELING
                assert end.type == ("canceled" if canceled else "completed"), name
                cut = phase in (Phase.STREAMING, Phase.CALLING) or name.endswith("cut")
                assert end.attempt == (2 if cut else 1), name
                if phase in (Phase.WATCHING, Phase.CREATING, Phase.CANCELING):
                    assert await tasks_of(stage, name) == 1, "it is not paid for again"
        assert not stage.system.service().said("job_quarantined")
        letters = [one for letters in observer.dead_letters.values() for one in letters]
        assert [letter.value for letter in letters] == [b"no JSON"]


def _partition(name: str) -> int:
    return [*HELD, *ENDED].index(name) % 2
