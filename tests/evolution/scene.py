"""Requests that stand in every phase of a job, held there by the platform until it is healed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from contracts.topics import Role
from service.domain.job import Phase
from service.sandbox.errors import ProgramError
from tests.evolution.recording import Recorded, latest, read_topics
from tests.harness.stage import Stage

HELD_SECONDS = 3_600
SETTINGS = {
    "REELWIRE_JOBS__MAX_STREAMS": "2",
    "REELWIRE_JOBS__PATIENCE_SECONDS": "3600",
    "REELWIRE_SHUTDOWN__DRAIN_SECONDS": "1",
    "REELWIRE_PLATFORM__READ_TIMEOUT_SECONDS": "3600",
}
"""Two slots, which a stream and a call take, so that another stream has to wait."""

HELD = {
    "accepted": Phase.ACCEPTED,
    "streaming": Phase.STREAMING,
    "cut": Phase.READY,
    "calling": Phase.CALLING,
    "ready": Phase.READY,
    "creating": Phase.CREATING,
    "watching": Phase.WATCHING,
    "_segments": Phase.WATCHING,
    "canceling": Phase.CANCELING,
}
"""The phase in which each request is held. An id that begins with `_` was taken by the first version only."""

ENDED = {
    "streamed": "completed",
    "called": "completed",
    "tasked": "completed",
    "canceled": "canceled",
    "lost": "failed",
}
"""What ends before the scene stands, and how."""

_LONG_TASK = {"task_seconds": HELD_SECONDS}
_FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "streaming": ("analyze_stream", {"fragments": 5_000, "interval_ms": 500}),
    "calling": ("analyze_sync", {"delay_seconds": HELD_SECONDS}),
    "cut": ("analyze_stream", {"cut_after": 10, "interval_ms": 300}),
    "creating": ("task_create", {"delay_seconds": HELD_SECONDS}),
    "watching": ("task_create", _LONG_TASK),
    "_segments": ("task_create", _LONG_TASK),
    "canceling": ("task_create", _LONG_TASK),
    "canceled": ("task_create", _LONG_TASK),
}
_MODES = dict.fromkeys(("ready", "streaming", "cut", "streamed"), "stream") | {"calling": "sync", "called": "sync"}
_TRACE = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
_PATIENCE_SECONDS = 60.0
_CHECK_SECONDS = 0.1


class Scene:
    """The requests of one stage. `names` stands in front of the ids, so that a stage can have several scenes."""

    def __init__(self, stage: Stage, names: str = "", *, without: frozenset[str] = frozenset()) -> None:
        self.stage = stage
        self._before = names
        self.held = {self.id(name): phase for name, phase in HELD.items() if name not in without}
        self.ended = {self.id(name): kind for name, kind in ENDED.items()}
        self._without = without

    def id(self, name: str) -> str:
        """The request id of one of `HELD` and `ENDED`."""
        return f"{self._before}-{name.removeprefix('_')}" if self._before else name

    async def play(self) -> list[Recorded]:
        """Send all requests and wait until each stands where it shall; returns the topics as they are then.

        A service must be running. Requests that end have ended when this returns.
        """
        rules = [
            {"operation": operation, "contains": f"{self.id(name)}: ", "do": fault}
            for name, (operation, fault) in _FAULTS.items()
        ]
        await self.stage.system.fault(*rules)
        clip = self.stage.clip()
        for name in ENDED:
            await self._send(name, clip)
        await self.until_phase("canceled", Phase.WATCHING)
        await self._cancel("canceled")
        await self.stage.ended(*self.ended)
        await self.stage.request_producer.send(b"no JSON", partition=0)
        for name, phase in HELD.items():
            if name not in self._without:
                await self._hold(name, phase, clip)
        return await read_topics(self.stage.system.settings())

    async def release(self) -> None:
        """Heal the platform and let its tasks end: nothing is held any more."""
        await self.stage.system.heal()
        await self.stage.system.finish()

    async def until_phase(self, name: str, phase: Phase) -> None:
        """Wait until the last record of this job says that it is in `phase`."""
        loop = asyncio.get_running_loop()
        end, key, said = loop.time() + _PATIENCE_SECONDS, self.id(name).encode(), ""
        while loop.time() < end:
            jobs = latest(await read_topics(self.stage.system.settings(), [Role.JOBS]), Role.JOBS)
            said = str(jobs[key].body.get("phase")) if key in jobs else "no record"
            if said == phase:
                return
            await asyncio.sleep(_CHECK_SECONDS)
        raise ProgramError(f"{name} is not {phase} within {_PATIENCE_SECONDS:g} s; it is {said}")

    async def _hold(self, name: str, phase: Phase, clip: Path) -> None:
        if name == "accepted":
            clip = self.stage.clip()
            rule = {"operation": "asset_create", "contains": clip.name, "do": {"delay_seconds": HELD_SECONDS}}
            await self.stage.system.fault(rule)
        await self._send(name, clip)
        if name == "canceling":
            await self.until_phase(name, Phase.WATCHING)
            await self.stage.system.fault({"operation": "task_cancel", "do": {"delay_seconds": HELD_SECONDS}})
            await self._cancel(name)
        # The stream that is cut has the second slot until then; the call is next in line for it.
        await self.until_phase(name, Phase.STREAMING if name == "cut" else phase)
        if name == "calling":
            await self.until_phase("cut", Phase.READY)

    async def _send(self, name: str, clip: Path) -> None:
        request_id = self.id(name)
        body = self.stage.analyze(request_id, clip, mode=_MODES.get(name, "async"), metadata={"name": name})
        if name == "_segments":
            del body["prompt"]
            definition = {"id": "scene", "description": f"{request_id}: anything that happens"}
            body["analysis_mode"] = "time_based_metadata"
            body["response_format"] = {"type": "segment_definitions", "segment_definitions": [definition]}
        if name == "lost":
            body["video"] = {"type": "file", "path": f"{clip.parent}/nowhere.mp4"}
        if name == "watching":
            body["deadline"] = "2099-01-01T00:00:00Z"
        await self._send_record(name, body)

    async def _cancel(self, name: str) -> None:
        await self._send_record(name, {"type": "cancel", "request_id": self.id(name)})

    async def _send_record(self, name: str, body: dict[str, Any]) -> None:
        partition = [*HELD, *ENDED].index(name) % 2
        await self.stage.request_producer.send(body, key=f"cam-{name}", headers=_TRACE, partition=partition)
