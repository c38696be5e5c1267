"""The queries of the dashboard's panels, asked of a Prometheus."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_STEPS = 150


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel: its name in the legend, and its points; one point for a panel of single numbers."""

    name: str
    points: list[tuple[float, float]] = field(default_factory=list)


class Prometheus:
    """Asks about one span of time, in seconds since the epoch."""

    def __init__(self, url: str, begin: float, end: float) -> None:
        self._url = url
        self._begin = begin
        self._end = end

    async def ask(self, session: aiohttp.ClientSession, target: dict[str, Any]) -> list[Line]:
        """The lines of one query, as Grafana would ask it."""
        span = max(1, round(self._end - self._begin))
        query = target["expr"].replace("$__rate_interval", "30s").replace("$__range", f"{span}s")
        instant = bool(target.get("instant"))
        about: dict[str, Any] = {"query": query}
        about |= (
            {"time": self._end} if instant else {"start": self._begin, "end": self._end, "step": max(1, span // _STEPS)}
        )
        path = "query" if instant else "query_range"
        async with session.get(f"{self._url}/api/v1/{path}", params=about) as response:
            answer = await response.json()
        if answer["status"] != "success":
            raise ValueError(f"{query}: {answer['error']}")
        return [
            Line(
                _legend(target["legendFormat"], found["metric"]),
                [(float(at), float(value)) for at, value in ([found["value"]] if instant else found["values"])],
            )
            for found in answer["data"]["result"]
        ]


async def answers(board: dict[str, Any], prometheus: Prometheus) -> dict[int, list[Line]]:
    """The lines of every panel, by its id. Points that are no number are left out."""
    found: dict[int, list[Line]] = {}
    async with aiohttp.ClientSession() as session:
        for panel in board["panels"]:
            lines = [line for target in panel.get("targets", []) for line in await prometheus.ask(session, target)]
            cleaned = [Line(line.name, [point for point in line.points if point[1] == point[1]]) for line in lines]
            found[panel["id"]] = [line for line in cleaned if line.points]
    return found


def _legend(form: str, labels: dict[str, str]) -> str:
    if form == "__auto":
        return " ".join(value for name, value in labels.items() if name != "__name__")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found.group(1), ""), form).strip()
