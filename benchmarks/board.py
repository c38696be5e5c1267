"""A picture of the dashboard with real data: `python -m benchmarks.board docs/dashboard.png`.

A broker, the emulator and the service run on this machine under a mixed load of three tenants, with a platform that
fails for a while, a burst, a process that comes and one that goes. A real Prometheus scrapes them with the rules of
`deploy/prometheus`. Then every panel's own queries are asked and drawn. Panels without an answer are named.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
import orjson
import yaml
from aiokafka import AIOKafkaProducer

from benchmarks.board_drawing import draw
from benchmarks.board_queries import Prometheus, answers
from service.kafka.connecting.connection import producer_options
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.broker.broker import open_broker
from service.sandbox.footage import sample_video
from service.sandbox.system import System, own_names
from service.settings import load_settings

_DEPLOY = Path(__file__).parents[1] / "deploy"
_TENANTS = ("acme", "northgate", "harbour", None)
_PRICES = {
    "REELWIRE_COST__PER_MINUTE": "0.033",
    "REELWIRE_COST__PER_1000_OUTPUT_TOKENS": "0.006",
    "REELWIRE_COST__CURRENCY": "USD",
    "REELWIRE_SHUTDOWN__DRAIN_SECONDS": "60",
}
_SCRAPE_SECONDS = 2


class Load:
    """Requests of all kinds at a steady rate, and what happens meanwhile."""

    def __init__(self, system: System, seconds: float) -> None:
        self._system = system
        self._seconds = seconds
        self._begun = 0.0
        self._numbers = itertools.count()

    async def run(self) -> None:
        """Begin two processes, then send and disturb for the time that was asked for."""
        for name in ("one", "two"):
            await self._system.serve(name)
        self._begun = time.monotonic()
        sending = asyncio.create_task(self._send())
        try:
            for share, step in ((0.3, self._platform_fails), (0.45, self._system.heal), (0.5, self._burst)):
                await self._until(share)
                await step()
            await self._until(0.55)
            await self._system.service("three").start()
            await self._until(0.62)
            self._system.service("one").send(signal.SIGTERM)
            await self._until(1.0)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _until(self, share: float) -> None:
        await asyncio.sleep(max(0.0, self._begun + share * self._seconds - time.monotonic()))

    async def _platform_fails(self) -> None:
        busy = {"probability": 0.35, "seed": 7, "do": {"status": 503}}
        await self._system.fault({"operation": "analyze_stream", **busy}, {"operation": "task_create", **busy})

    async def _burst(self) -> None:
        async with AIOKafkaProducer(**producer_options(self._system.settings().kafka)) as producer:
            for _ in range(120):
                await self._request(producer)

    async def _send(self) -> None:
        async with AIOKafkaProducer(**producer_options(self._system.settings().kafka)) as producer:
            while True:
                await self._request(producer)
                await asyncio.sleep(0.5)

    async def _request(self, producer: AIOKafkaProducer) -> None:
        number, topic = next(self._numbers), self._system.settings().topics.requests
        name = f"cam{number % 11}-{number}"
        if number % 40 == 39:
            await producer.send(topic, b'{"request_id": "half a request"', key=name.encode())
            return
        body = {
            "request_id": name,
            "video": {
                "type": "file",
                "path": str(sample_video() if number % 25 else sample_video().with_name("missing.mp4")),
            },
            "prompt": f"{name}: what happens? [[emulate: fragments={30 + number % 7 * 20} interval_ms=60]]",
            "mode": "async" if number % 5 == 0 else "sync" if number % 17 == 0 else "stream",
            "tenant": _TENANTS[number % 9 % 4],
        }
        await producer.send(topic, orjson.dumps(body), key=name.encode())


@contextlib.contextmanager
def prometheus(targets: list[str], folder: Path) -> Iterator[str]:
    """A Prometheus from PATH that scrapes `targets` with our rules. Yields its address; ends with the block."""
    command = shutil.which("prometheus")
    if command is None:
        raise click.ClickException(
            "prometheus is not on PATH: go install github.com/prometheus/prometheus/cmd/prometheus@latest"
        )
    [port] = free_ports(1)
    config = {
        "global": {"scrape_interval": f"{_SCRAPE_SECONDS}s", "evaluation_interval": f"{_SCRAPE_SECONDS}s"},
        "rule_files": [str(_DEPLOY / "prometheus" / name) for name in ("slo.yaml", "alerts.yaml")],
        "scrape_configs": [{"job_name": "reelwire", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [command, *options, f"--web.listen-address={HOST}:{port}"], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()
            process.wait(30)


async def measure(seconds: float, picture: Path) -> list[str]:
    """Run, ask and draw. Returns the titles of the panels that had no data."""
    board = orjson.loads((_DEPLOY / "grafana" / "dashboards" / "reelwire.json").read_bytes())
    async with await open_broker(load_settings(), progress=print) as broker:
        environment = own_names(f"board{uuid.uuid4().hex[:8]}", partitions=6) | _PRICES
        system = System(broker.bootstrap_servers, environment=environment, file_roots=(Path(sample_video()).parent,))
        with tempfile.TemporaryDirectory() as folder:
            try:
                await system.start()
                for name in ("one", "two", "three"):
                    system.service(name)
                targets = [system.url(name).removeprefix("http://") for name in ("one", "two", "three")]
                with prometheus(targets, Path(folder)) as url:
                    begun = time.time()
                    await Load(system, seconds).run()
                    asked = await answers(board, Prometheus(url, begun, time.time()))
            finally:
                await system.stop()
    draw(board, asked, picture)
    return [panel["title"] for panel in board["panels"] if panel["type"] != "row" and not asked[panel["id"]]]


@click.command(help=(__doc__ or "").partition("\n\n")[0])
@click.argument("picture", type=click.Path(path_type=Path))
@click.option("--seconds", default=420.0, show_default=True)
def main(picture: Path, seconds: float) -> None:
    """Write the picture, and name the panels that had no data."""
    empty = asyncio.run(measure(seconds, picture))
    print(f"{picture}; without data: {', '.join(empty) or 'none'}")


if __name__ == "__main__":
    main()
