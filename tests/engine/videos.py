"""The video that requests of tests name, and the asset that the service makes of it."""

from __future__ import annotations

from typing import Any

from service.domain.identity import asset_token
from service.footage.remote import url_footage
from service.platform.marks import AssetMark
from tests.engine.bench import URL, Bench, analyze

IDENTITY = url_footage(URL).identity
MARK = AssetMark(IDENTITY, "reelwire")
NAME = f"{asset_token(IDENTITY)}-v.mp4"


def mark_of(identity: str, owner: str = "reelwire", tenant: str | None = None) -> AssetMark:
    """The mark of an asset with this video."""
    return AssetMark(identity, owner, tenant)


async def ran(bench: Bench, name: str, **members: Any) -> dict[str, Any]:
    """The completion of a request with this id."""
    await bench.take(analyze(name, **members))
    return await bench.completed(name)
