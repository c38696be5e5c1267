"""The claim to an upload and the topic that holds it: held until the note is durable, had again, waited for."""

from __future__ import annotations

import asyncio

import pytest

from service.kafka.asset_port import AssetNote, AssetsUnknown, UploadClaim
from service.kafka.logs.claim import Claim
from service.kafka.ports import LeaseLost
from tests.engine.bench import Bench, analyze
from tests.engine.videos import IDENTITY, ran
from tests.support.waiting import passed

pytestmark = pytest.mark.unit


async def test_the_claim_is_held_until_the_note_is_durable(bench: Bench) -> None:
    held = bench.platform.hold("get_asset")
    await bench.take(analyze(mode="stream"))
    await held.reached.wait()
    bench.writer.held = True
    held.go.set()
    await passed(60)
    assert await asyncio.wait_for(asyncio.shield(bench.assets.current(IDENTITY)), 1) is None
    bench.writer.go()
    await bench.completed()
    topic = bench.settings.topics.assets
    keys = [r.key for r in bench.log.order if r.topic == topic and r.value is not None]
    assert keys[-1] == IDENTITY.encode()
    last = [r for r in bench.log.order if r.topic == topic][-1]
    assert (last.value, last.key) == (None, keys[0])


async def test_a_claim_that_ran_out_is_had_again_before_anything_is_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False])
    held = Claim.held
    monkeypatch.setattr(Claim, "held", lambda self: next(answers, True) and held(self))
    await bench.take(analyze())
    await bench.completed()
    assert bench.platform.count("find_assets") == 2
    assert bench.platform.count("create_asset") == 1


async def test_an_assets_topic_that_can_not_be_read_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([AssetsUnknown("one"), LeaseLost("two"), AssetsUnknown("three")])
    acquire = bench.assets.acquire

    async def failing(identity: str) -> AssetNote | UploadClaim:
        for failure in failures:
            raise failure
        return await acquire(identity)

    monkeypatch.setattr(bench.assets, "acquire", failing)
    assert (await ran(bench, "r-1"))["type"] == "completed"


async def test_an_assets_topic_that_is_never_readable_ends_the_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(_identity: str) -> AssetNote | UploadClaim:
        raise AssetsUnknown("no answer")

    monkeypatch.setattr(bench.assets, "acquire", failing)
    error = (await ran(bench, "r-1"))["error"]
    assert (error["code"], error["retryable"]) == ("upload_failed", True)
