"""The HTTP server, asked over a real socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from service.errors import ProcessError
from service.ops.health import Health
from service.ops.server import OpsServer
from service.settings import HttpSettings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def server(health: Health, metrics: Metrics) -> AsyncIterator[OpsServer]:
    async with OpsServer(HttpSettings(port=0), health, metrics) as server:
        yield server


@pytest.fixture
async def client(server: OpsServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session


@pytest.mark.parametrize("path", ["/health/ready", "/health/startup"])
async def test_health_turns_from_503_to_200_when_the_process_has_started(
    client: aiohttp.ClientSession, health: Health, path: str
) -> None:
    async with client.get(path) as response:
        assert response.status == 503
        assert (await response.json())["status"] == "starting"
    health.started()
    async with client.get(path) as response:
        assert response.status == 200


async def test_the_server_does_not_beat_itself_and_so_hides_no_dead_heartbeat(
    client: aiohttp.ClientSession,
) -> None:
    async with client.get("/health/live") as response:
        assert response.status == 200
    assert not [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "heartbeat"]


async def test_ready_says_what_is_wrong(client: aiohttp.ClientSession, health: Health) -> None:
    health.started()
    health.set("kafka", ok=False, detail="no broker answers")
    async with client.get("/health/ready") as response:
        assert response.status == 503
        body = await response.json()
    assert body["wrong"] == ["kafka"]
    assert body["conditions"]["kafka"]["detail"] == "no broker answers"
    assert body["conditions"]["kafka"]["since"].endswith("Z")


async def test_live_answers_within_100_ms_while_thousands_of_tasks_take_turns(
    client: aiohttp.ClientSession,
) -> None:
    over = asyncio.Event()

    async def turn() -> None:
        while not over.is_set():
            await asyncio.wait([asyncio.ensure_future(over.wait())], timeout=0.2)

    tasks = [asyncio.create_task(turn()) for _ in range(2000)]
    try:
        took = []
        for _ in range(20):
            begin = time.perf_counter()
            async with client.get("/health/live") as response:
                assert response.status == 200
            took.append(time.perf_counter() - begin)
        assert sorted(took)[len(took) // 2] < 0.1
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def test_metrics_are_prometheus_text_by_default(client: aiohttp.ClientSession, metrics: Metrics) -> None:
    metrics.fragments.inc(3)
    async with client.get("/metrics") as response:
        assert response.content_type == "text/plain"
        families = {family.name: family for family in parse_prometheus(await response.text())}
    assert families["reelwire_fragments"].samples[0].value == 3
    assert "process_cpu_seconds" in families
    assert "process_resident_memory_bytes" in families
    assert families["reelwire_info"].samples[0].labels["version"]


async def test_metrics_are_openmetrics_when_asked_for(client: aiohttp.ClientSession) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with client.get("/metrics", headers=accept) as response:
        assert response.content_type == "application/openmetrics-text"
        text = await response.text()
    assert text.endswith("# EOF\n")
    assert "reelwire_fragments" in {family.name for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]


async def test_webhooks_are_not_taken_by_a_server_without_a_receiver(client: aiohttp.ClientSession) -> None:
    async with client.post("/webhooks/twelvelabs", json={"type": "x"}) as response:
        assert response.status == 404
        assert (await response.json())["error"] == "not_configured"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/health/live"), ("DELETE", "/metrics"), ("GET", "/webhooks/twelvelabs")],
)
async def test_a_wrong_method_is_answered_with_405(client: aiohttp.ClientSession, method: str, path: str) -> None:
    async with client.request(method, path) as response:
        assert response.status == 405


async def test_an_unknown_path_is_answered_with_404(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as response:
        assert response.status == 404


async def test_a_port_in_use_stops_the_start_and_names_the_setting(server: OpsServer) -> None:
    with pytest.raises(ProcessError, match=f"REELWIRE_HTTP__PORT: port {server.port} of 127.0.0.1 is in use"):
        await OpsServer(HttpSettings(port=server.port), Health(), Metrics()).start()


async def test_a_host_that_is_not_ours_stops_the_start_and_names_the_setting() -> None:
    with pytest.raises(ProcessError, match=r"REELWIRE_HTTP__HOST: can't listen on 192\.0\.2\.1"):
        await OpsServer(HttpSettings(host="192.0.2.1", port=0), Health(), Metrics()).start()


async def test_a_stopped_server_gives_its_port_back(health: Health) -> None:
    server = OpsServer(HttpSettings(port=0), health, Metrics())
    await server.start()
    await server.stop()
    async with OpsServer(HttpSettings(port=server.port), health, Metrics()) as again:
        assert again.port == server.port
