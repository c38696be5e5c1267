"""`reelwire demo`: requests for a real video become fragments and completions, also when the service is killed.

Broker, emulator and service are the real ones, each in its own process.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.cli.reading.event_reader import event_reader
from service.cli.reading.output_record import OutputRecord
from service.cli.reading.topic_reader import TopicReader
from service.cli.views.request_view import RequestView
from service.kafka.connecting.connection import new_producer, producer_options
from service.sandbox.broker.broker import Broker, open_broker
from service.sandbox.demo.demo_requests import DemoRequest, demo_requests, killed_request, restarted_request
from service.sandbox.demo.demo_screen import DemoScreen
from service.sandbox.errors import ProgramError
from service.sandbox.footage import make_video, sample_video
from service.sandbox.program import Program
from service.sandbox.system import System
from service.settings import load_settings

_END_AT_FRAGMENT = 8
_SECOND = "second"
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.2

_ENVIRONMENT = {
    # Short, so that Kafka soon notices the killed process.
    "REELWIRE_KAFKA__SESSION_TIMEOUT_MS": "3000",
    "REELWIRE_KAFKA__HEARTBEAT_INTERVAL_MS": "500",
    "REELWIRE_TOPICS__PARTITIONS": "3",
    "REELWIRE_POLL__INITIAL_SECONDS": "0.5",
    "REELWIRE_PLATFORM__ASSET_POLL_SECONDS": "0.2",
    # As third parties read the vendor's price list in 2026 (Developer plan). Nothing is billed by it.
    "REELWIRE_COST__PER_MINUTE": "0.0292",
    "REELWIRE_COST__PER_1000_OUTPUT_TOKENS": "0.0075",
    "REELWIRE_COST__CURRENCY": "USD",
}


def run_demo(*, keep: bool, as_json: bool) -> int:
    """Run the demo; 0 when everything ended as it should, 1 otherwise."""
    return asyncio.run(_demo(keep=keep, as_json=as_json))


async def _demo(*, keep: bool, as_json: bool) -> int:
    screen = DemoScreen(as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="reelwire-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        screen.say("starting a broker")
        async with await open_broker(load_settings(), progress=screen.say) as broker:
            system = System(
                broker.bootstrap_servers,
                folder=folder,
                environment=_ENVIRONMENT,
                file_roots=(sample_video().parent, folder),
            )
            try:
                run = DemoRun(system, screen)
                ok = await run.run()
                if keep:
                    ok = await _kept(system, broker, screen) and ok
            finally:
                await system.stop()
    screen.say("")
    leaves = broker.leaves()
    nothing = "" if leaves else " and nothing is left"
    screen.say(f"Everything that was started is stopped{nothing}; its logs and files are deleted.", "bold")
    if leaves:
        screen.say(f"Kept: {leaves}")
    if not keep:
        screen.say("Where to look next:", "bold")
        for line in (
            "make demo ARGS=--keep          the same, left up to play with",
            "docs/architecture.md           the path of a request",
            "reelwire --help                every command",
        ):
            screen.say(f"  {line}")
    return 0 if ok else 1


class DemoRun:
    """One run of the demo on a system."""

    def __init__(self, system: System, screen: DemoScreen) -> None:
        self._system = system
        self._screen = screen
        self._views: dict[str, RequestView] = {}
        self._reused: dict[str, bool] = {}
        self._what: dict[str, DemoRequest] = {}

    async def run(self) -> bool:
        """Start the system, send requests, restart and kill the service. True if every request ended as expected."""
        screen, system = self._screen, self._system
        other = await asyncio.to_thread(make_video, system.folder / "second.mp4", seed=7, seconds=6)
        await system.start()
        screen.say(f"emulator at {system.emulator_url}/v1.3")
        await system.serve()
        screen.say(f"service ready at {system.url()}")
        began = time.monotonic()
        settings = system.settings()
        async with event_reader(settings) as reader:
            reader.begin(await reader.ends())
            with screen:
                await self._send(demo_requests(sample_video(), other))
                await self._until(reader, lambda: all(view.ended for view in self._views.values()))
                await self._send((restarted_request(sample_video()),))
                await self._restart_in_mid_stream(reader)
                await self._until(reader, lambda: all(view.ended for view in self._views.values()))
                await self._send((killed_request(sample_video()),))
                await self._kill_in_mid_stream(reader)
                await self._until(reader, lambda: all(view.ended for view in self._views.values()))
        screen.say("")
        screen.results(
            (request.what, self._views[name], self._reused.get(name)) for name, request in self._what.items()
        )
        stats = await system.stats()
        screen.say(f"{time.monotonic() - began:.1f} s for {len(self._views)} requests; {_paid(stats)}")
        return all(self._ended_well(request) for request in self._what.values())

    def _ended_well(self, request: DemoRequest) -> bool:
        view = self._views[request.request_id]
        if request.expected == "dead_letter":
            return view.dead_letter is not None
        end = view.completion or {}
        return (end.get("type"), end.get("attempt")) == (request.expected, request.attempt)

    async def _send(self, requests: tuple[DemoRequest, ...]) -> None:
        settings = self._system.settings()
        producer = new_producer(settings.kafka, producer_options(settings.kafka))
        await producer.start()
        try:
            for request in requests:
                written = await producer.send_and_wait(
                    settings.topics.requests, key=request.request_id.encode(), value=request.value
                )
                view = RequestView(request.request_id, written.partition, written.offset)
                self._views[request.request_id] = view
                self._what[request.request_id] = request
                self._screen.add(view)
        finally:
            await producer.stop()

    async def _restart_in_mid_stream(self, reader: TopicReader[OutputRecord]) -> None:
        """The next process starts at once; the first one carries its stream to the end, and ends then."""
        view = self._views["demo-restarted"]
        await self._until(reader, lambda: view.next_sequence >= _END_AT_FRAGMENT)
        self._system.service().send(signal.SIGTERM)
        at = view.next_sequence
        self._screen.say(
            f"the service was restarted (SIGTERM) at fragment {at}; the stream goes on where it is", "cyan"
        )
        await self._system.service(_SECOND).start()

    async def _kill_in_mid_stream(self, reader: TopicReader[OutputRecord]) -> None:
        view, service = self._views["demo-killed"], self._system.service(_SECOND)
        await self._until(reader, lambda: view.next_sequence >= _END_AT_FRAGMENT)
        await service.kill()
        self._screen.say(f"the service was killed (SIGKILL) at fragment {view.next_sequence}; starting it again", "red")
        await service.start()

    async def _until(self, reader: TopicReader[OutputRecord], reached: Any) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not reached():
                    for event in await reader.batch(50):
                        self._show(event)
        except TimeoutError:
            tail = self._system.service(_SECOND).tail() or self._system.service().tail()
            raise ProgramError(
                f"the demo's requests did not end within {_PATIENCE_SECONDS:g} s; the end of the service's log:\n{tail}"
            ) from None

    def _show(self, event: OutputRecord) -> None:
        if event.type == "asset_ready" and event.request_id is not None:
            self._reused.setdefault(event.request_id, bool(event.body.get("reused")))
        for view in self._views.values():
            changes = view.apply(event)
            if changes:
                self._screen.show(view, event, changes)


def _paid(stats: dict[str, Any]) -> str:
    tasks = stats["tasks"]["by_custom_id"]
    videos = stats["assets"]["by_sha256"]
    uploads = sum(len(assets) for assets in videos.values())
    return f"{len(videos)} videos in {uploads} uploads, {len(tasks)} task created; costs are estimates"


def write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """Write a file that a shell can source. Only its owner can read it, since it holds the emulator's key."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    path.touch(mode=0o600)
    path.write_text("".join(lines), encoding="utf-8")


async def _kept(system: System, broker: Broker, screen: DemoScreen) -> bool:
    """Print addresses and commands to try, and wait for Ctrl-C. The other processes end with this one.

    False, and words about it, when service or emulator end before that.
    """
    path = system.folder / "env"
    await asyncio.to_thread(write_environment, path, system.environment)
    screen.say("")
    screen.say("Everything is up until Ctrl-C:", "bold")
    for line in (
        f"broker    {broker.describe()}",
        f"platform  {system.emulator_url}/v1.3   (counters: {system.emulator_url}/_emulator/stats)",
        f"service   {system.url(_SECOND)}/health/ready   {system.url(_SECOND)}/metrics",
        f"logs      {system.folder}   (beside each log, the process id in NAME.pid)",
        "",
        "In another terminal:",
        f"source {shlex.quote(str(path))}",
        f".venv/bin/reelwire submit {sample_video()} --prompt 'What happens?' --wait",
        ".venv/bin/reelwire watch --from-beginning",
        ".venv/bin/reelwire dlq list",
        ".venv/bin/reelwire doctor",
    ):
        screen.say(f"  {line}")
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        gone = await until_one_ends((system.service(_SECOND), system.emulator))
        what, code = "emulator" if gone is system.emulator else "service", await gone.ended()
        screen.say("")
        screen.say(f"The {what} has ended with exit code {code}, and so the demo ends too; the end of its log:", "red")
        screen.say(gone.tail())
        return False
    return True


async def until_one_ends(programs: Sequence[Program]) -> Program:
    """Wait until one of these programs has ended, and return it."""
    while True:
        for program in programs:
            if not program.running:
                return program
        await asyncio.sleep(_LOOK_SECONDS)
