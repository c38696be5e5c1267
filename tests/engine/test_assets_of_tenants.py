"""Tenants that are kept apart: no request is given, or may name, an asset of another tenant."""

from __future__ import annotations

from typing import Any

import pytest

from service.platform.marks import AssetMark
from tests.engine.bench import URL, Bench, analyze
from tests.engine.fake_platform import (
    After,
    unknown,
)
from tests.engine.videos import IDENTITY, mark_of, ran
from tests.support.waiting import until

pytestmark = pytest.mark.unit


def apart() -> Bench:
    return Bench(assets={"scope": "tenant"})


@pytest.mark.parametrize("key", [None, "clip-1"])
async def test_no_tenant_is_given_anothers_asset(key: str | None) -> None:
    video = {"type": "url", "url": URL, **({} if key is None else {"key": key})}
    async with apart() as bench:
        had = {}
        for name, tenant in (("r-1", "acme"), ("r-2", "bolt"), ("r-3", None), ("r-4", "acme"), ("r-5", None)):
            members: dict[str, Any] = {"video": video} | ({} if tenant is None else {"tenant": tenant})
            had[name] = (await ran(bench, name, **members))["asset_id"]
        assert had["r-1"] == had["r-4"]
        assert had["r-3"] == had["r-5"]
        assert len({had["r-1"], had["r-2"], had["r-3"]}) == 3
        claims = {r.key for r in bench.log.order if r.topic == bench.settings.topics.assets and r.value is not None}
        assert not [key for key in claims if IDENTITY.encode() in (key or b"")]


async def test_tenants_that_upload_at_the_same_time_do_not_wait_for_each_other() -> None:
    async with apart() as bench:
        held = bench.platform.hold("create_asset")
        await bench.take(analyze("r-1", tenant="acme"), analyze("r-2", tenant="bolt"))
        await held.reached.wait()
        await bench.completed("r-2")
        held.go.set()
        await bench.completed("r-1")


async def test_tenants_share_unless_told_otherwise(bench: Bench) -> None:
    assert (await ran(bench, "r-1", tenant="acme"))["asset_id"] == (await ran(bench, "r-2", tenant="bolt"))["asset_id"]


async def test_after_a_crash_a_tenants_asset_is_found_by_that_tenant_only() -> None:
    async with apart() as bench:
        bench.platform.script("create_asset", After(unknown()))
        assert (await ran(bench, "r-1", tenant="acme"))["asset_id"] == "asset-1"
        assert (await ran(bench, "r-2", tenant="bolt"))["asset_id"] == "asset-2"


@pytest.mark.parametrize(
    ("mark", "tenant", "allowed"),
    [
        (mark_of("x", tenant="acme"), "acme", True),
        (mark_of("x", tenant="acme"), "bolt", False),
        (mark_of("x", tenant="acme"), None, False),
        (mark_of("x"), "acme", False),
        (mark_of("x"), None, True),
        (mark_of("x", "another deployment", "acme"), "acme", False),
        (None, "acme", True),
    ],
)
@pytest.mark.parametrize("status", ["ready", "failed", "processing"])
async def test_an_asset_that_a_request_names_is_no_other_tenants(
    mark: AssetMark | None, tenant: str | None, *, allowed: bool, status: str
) -> None:
    async with apart() as bench:
        bench.platform.new_asset_status = status
        bench.platform.add_asset("a.mp4", mark=mark)
        members = {} if tenant is None else {"tenant": tenant}
        completion = await ran(bench, "r-1", video={"type": "asset_id", "asset_id": "asset-1"}, **members)
        code = "completed" if completion["type"] == "completed" else completion["error"]["code"]
        expected = {"ready": "completed"}.get(status, "asset_failed")
        assert code == (expected if allowed else "source_not_allowed")


def segments_about(asset_id: str) -> dict[str, Any]:
    picture = {"name": "tiger", "media_type": "image", "asset_id": asset_id}
    definition = {"id": "a", "description": "where <@tiger> is", "media_sources": [picture]}
    return {
        "prompt": None,
        "mode": "async",
        "analysis_mode": "time_based_metadata",
        "response_format": {"type": "segment_definitions", "segment_definitions": [definition]},
    }


@pytest.mark.parametrize("upload", ["auto", "inline"])
@pytest.mark.parametrize(
    ("mark", "code"),
    [
        (mark_of("x", tenant="acme"), None),
        (None, None),
        (mark_of("x", tenant="bolt"), "source_not_allowed"),
        (mark_of("x"), "source_not_allowed"),
    ],
)
async def test_a_reference_image_is_no_other_tenants_asset(
    mark: AssetMark | None, code: str | None, upload: str
) -> None:
    async with apart() as bench:
        bench.platform.add_asset("tiger.png", mark=mark)
        await bench.take(analyze("r-1", tenant="acme", upload=upload, **segments_about("asset-1")))
        if code is None:
            await until(lambda: bench.platform.count("create_task"))
        else:
            error = (await bench.completed("r-1"))["error"]
            assert (error["code"], error["stage"]) == (code, "request")
            assert "asset-1" in error["message"]
            assert bench.platform.count("create_task") == bench.platform.count("create_asset") == 0


async def test_a_reference_image_that_is_not_there_is_the_requests_fault() -> None:
    async with apart() as bench:
        completion = await ran(bench, "r-1", tenant="acme", **segments_about("asset-77"))
        assert completion["error"]["code"] == "source_not_found"


async def test_reference_images_are_not_asked_for_where_all_is_shared(bench: Bench) -> None:
    await bench.take(analyze("r-1", upload="inline", **segments_about("asset-77")))
    await until(lambda: bench.platform.count("create_task"))
    assert bench.platform.count("get_asset") == 0


async def test_an_asset_that_a_request_names_may_be_anybodys_where_all_is_shared(bench: Bench) -> None:
    bench.platform.add_asset("a.mp4", mark=mark_of("x", tenant="acme"))
    completion = await ran(bench, "r-1", video={"type": "asset_id", "asset_id": "asset-1"}, tenant="bolt")
    assert completion["type"] == "completed"
