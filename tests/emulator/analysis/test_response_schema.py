"""Which schemas are taken, as the contract takes them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.conftest import Client


def _nested(*steps: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "timestamp", "format": "seconds"}
    for step in reversed(steps):
        schema = (
            {"type": "array", "items": schema} if step == "items" else {"type": "object", "properties": {step: schema}}
        )
    return schema


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (("at",), 200),
        (("finds", "items", "at"), 200),
        (("items", "at"), 200),
        (("a", "at"), 400),
        (("at", "items"), 400),
    ],
)
async def test_timestamps_stand_only_where_the_platform_takes_them(
    client: Client, asset: str, steps: tuple[str, ...], status: int
) -> None:
    wanted = {"type": "json_schema", "json_schema": _nested(*steps)}

    assert (await client.analyze(asset, response_format=wanted)).status == status
