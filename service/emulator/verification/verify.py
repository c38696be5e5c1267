"""Compares the emulator's behaviours with a platform, one probe after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import aiohttp

from service.emulator.behaviours import Behaviour
from service.emulator.verification import analysis_probes as _analysis
from service.emulator.verification import upload_probes as _uploads
from service.emulator.verification.catalogue import behaviours
from service.emulator.verification.probes import PROBES, Probe
from service.emulator.verification.wire import NotTried, Wire

__all__ = ["Finding", "Outcome", "planned", "verify"]
_LOADED = (_analysis, _uploads)  # they register their probes
_CALL_SECONDS = 300.0


class Outcome(StrEnum):
    """How a comparison ended."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe has found. `seen`: what came in place of what the emulator does, or why it was not tried."""

    behaviour: Behaviour
    billed: bool
    outcome: Outcome
    seen: str | None = None


def planned(*, billed: bool) -> list[tuple[Behaviour, Probe]]:
    """What would be compared, in order. Without `billed`, only what costs nothing."""
    return [
        (one, PROBES[one.name])
        for one in behaviours()
        if one.name in PROBES and (billed or not PROBES[one.name].billed)
    ]


async def verify(
    base_url: str, key: str, sample: Path, *, billed: bool, wait_seconds: float = 300.0
) -> AsyncIterator[Finding]:
    """Try every probe, and delete what was made. `wait_seconds` is for each asset and task."""
    timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        wire = Wire(session, base_url, key, sample, wait_seconds=wait_seconds)
        try:
            for behaviour, probe in planned(billed=billed):
                yield await _tried(wire, behaviour, probe)
        finally:
            await wire.clean()


async def _tried(wire: Wire, behaviour: Behaviour, probe: Probe) -> Finding:
    try:
        seen = await probe.check(wire)
    except NotTried as error:
        return Finding(behaviour, probe.billed, Outcome.NOT_TRIED, str(error))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        # The answer does not have the shape that the probe reads: that is a difference, too.
        return Finding(behaviour, probe.billed, Outcome.DIFFERENT, "an answer of another shape")
    return Finding(behaviour, probe.billed, Outcome.SAME if seen is None else Outcome.DIFFERENT, seen)
