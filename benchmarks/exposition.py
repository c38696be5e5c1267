"""Reads what a service says of itself: its metrics and its log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


async def samples(session: aiohttp.ClientSession, url: str, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric, by their labels' values. Empty when the service does not answer."""
    try:
        async with session.get(f"{url}/metrics", timeout=aiohttp.ClientTimeout(10)) as response:
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError):
        return {}
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def logged(file: Path, event: str) -> Iterator[dict[str, Any]]:
    """The log lines of one event."""
    for line in file.read_text(errors="replace").splitlines():
        if event in line and line.startswith("{"):
            entry = json.loads(line)
            if entry["event"] == event:
                yield entry


def at(entry: dict[str, Any]) -> float:
    """When a line was logged, in seconds since the epoch."""
    return datetime.fromisoformat(entry["timestamp"]).timestamp()
