"""The picture of the dashboard: every panel can be drawn, and is asked for what Grafana would ask."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from benchmarks.board_drawing import draw
from benchmarks.board_queries import Line, Prometheus, answers
from tests.deploy.queries import board

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("lines", [[], [Line("a", [(0.0, 1.0), (60.0, 2.5)]), Line("b", [(60.0, 1e6)])]])
def test_every_panel_can_be_drawn(lines: list[Line], tmp_path: Path) -> None:
    picture = tmp_path / "board.png"

    draw(board(), {panel["id"]: lines for panel in board()["panels"]}, picture)

    assert picture.read_bytes().startswith(b"\x89PNG")


async def test_a_query_is_asked_over_its_span_and_what_is_no_number_is_left_out() -> None:
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        values = [[100, "1"], [101, "NaN"]]
        result = [{"metric": {"mode": "sync"}, "values": values}, {"metric": {"mode": "async"}, "values": [[1, "NaN"]]}]
        return web.json_response({"status": "success", "data": {"result": result}})

    application = web.Application()
    application.router.add_get("/api/v1/query_range", answer)
    panel = {"id": 7, "targets": [{"expr": "rate(x[$__rate_interval])", "legendFormat": "{{mode}} s"}]}
    async with TestServer(application) as server:
        found = await answers({"panels": [panel]}, Prometheus(str(server.make_url("")).rstrip("/"), 100, 400))

    assert asked == [{"query": "rate(x[30s])", "start": "100", "end": "400", "step": "2"}]
    assert found == {7: [Line("sync s", [(100.0, 1.0)])]}


async def test_a_query_that_prometheus_refuses_is_named() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"status": "error", "error": "parse error"}, status=400)

    application = web.Application()
    application.router.add_get("/api/v1/query", refuse)
    async with TestServer(application) as server, ClientSession() as session:
        prometheus = Prometheus(str(server.make_url("")).rstrip("/"), 0, 1)
        with pytest.raises(ValueError, match=r"sum\(: parse error"):
            await prometheus.ask(session, {"expr": "sum(", "legendFormat": "", "instant": True})
