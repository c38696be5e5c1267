"""Records that are no requests, of every kind: found byte for byte in the dead letters, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from tests.harness.evidence import Record
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

MakeStage = Callable[..., Stage]
HEADERS = [("h", b"\x00\xff"), ("h", b"again"), ("empty", b""), ("null", None)]


def _request(**members: object) -> bytes:
    body = {"request_id": "bad", "prompt": "What?", "video": {"type": "asset_id", "asset_id": "0" * 24}}
    return orjson.dumps({name: value for name, value in (body | members).items() if value != "absent"})


BAD = {
    "no_json": (b'{"request_id": "bad", ', "not_json"),
    "empty": (b"", "not_json"),
    "tombstone": (None, "not_json"),
    "wrong_encoding": ('{"request_id":"bad","prompt":"ö"}'.encode("latin-1"), "not_utf8"),
    "utf16": ('{"request_id":"bad"}'.encode("utf-16"), "not_utf8"),
    "an_array": (b"[1, 2]", "invalid"),
    "no_id": (_request(request_id="absent"), "invalid"),
    "wrong_id": (_request(request_id="a b"), "invalid"),
    "no_video": (_request(video="absent"), "invalid"),
    "wrong_type": (_request(prompt=["What?"]), "invalid"),
    "out_of_range": (_request(temperature=7), "invalid"),
    "exclusive_members": (_request(prompt_v2={"input_text": "What?"}), "invalid"),
    "impossible": (_request(mode="stream", max_tokens="unlimited"), "invalid"),
    "bad_deadline": (_request(deadline="tomorrow"), "invalid"),
    "much_metadata": (_request(metadata={"a": "x" * 17_000}), "invalid"),
    "unknown_type": (_request(type="dance"), "unknown_type"),
    "two_megabytes": (_request(prompt="x" * 2 * 1024 * 1024), "too_large"),
}


@pytest.fixture(scope="module")
def letters() -> dict[str, Record]:
    """Filled by the first test."""
    return {}


async def test_bad_records_block_nothing_and_are_dead_letters(stage: Stage, letters: dict[str, Record]) -> None:
    before, after, clip = stage.name("before"), stage.name("after"), stage.clip()
    places = await stage.request_producer.send_together(
        [
            (stage.analyze(before, clip, mode="sync"), "cam7", (), 0),
            *((value, b"\xfe key", HEADERS, 0) for value, _ in BAD.values()),
            (stage.analyze(after, clip, mode="sync"), None, (), 0),
        ]
    )
    async with stage.watching() as observer:
        await observer.until_ended([before, after])
        await observer.until(lambda: all(observer.dead_letters.get(place) for place in places[1:-1]))
        for name, place in zip(BAD, places[1:-1], strict=True):
            (letters[name],) = observer.dead_letters[place]
    assert await stage.broken_promises() == []


@pytest.mark.parametrize("name", BAD)
def test_a_dead_letter_is_the_original_and_says_what_is_wrong(
    stage: Stage, letters: dict[str, Record], name: str
) -> None:
    letter, (value, code) = letters[name], BAD[name]

    assert (letter.key, letter.value) == (b"\xfe key", value)
    assert list(letter.headers[: len(HEADERS)]) == HEADERS
    ours = dict(letter.headers[len(HEADERS) :])
    assert set(ours) == {
        "dlq.original.topic",
        "dlq.original.partition",
        "dlq.original.offset",
        "dlq.original.timestamp",
        "dlq.error.code",
        "dlq.error.message",
        "dlq.failed_at",
        "dlq.service.version",
        "dlq.redrive.count",
    }
    assert ours["dlq.original.topic"] == stage.system.settings().topics.requests.encode()
    assert ours["dlq.original.partition"] == b"0"
    assert ours["dlq.redrive.count"] == b"0"
    assert (letter.header("dlq.error.code"), bool(ours["dlq.error.message"])) == (code, True)


async def test_a_job_record_of_an_unknown_version_is_shut_away_and_blocks_nothing(make_own_stage: MakeStage) -> None:
    own = make_own_stage(serve=False, partitions=1)
    jobs = own.system.settings().topics.jobs
    value, key = orjson.dumps({"v": 999, "what": "a later version wrote this"}), b"from-the-future"
    await own.request_producer.send(value, key=key, headers=[("h", b"1")], topic=jobs)
    name = own.name()
    await own.request_producer.send(own.analyze(name, own.clip(), mode="sync"))
    await own.system.serve()
    async with own.watching() as observer:
        await observer.until_ended([name])
        await observer.until(lambda: observer.other_dead_letters)
        (letter,) = observer.other_dead_letters
    assert (letter.key, letter.value) == (key, value)
    assert letter.headers[0] == ("h", b"1")
    assert letter.header("dlq.original.topic") == jobs
    assert (observer.completion(name) or {})["type"] == "completed"
    assert own.system.service().said("job_quarantined")
    assert await own.broken_promises() == []
