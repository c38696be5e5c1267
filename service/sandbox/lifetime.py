"""The one way in which brokers, programs and systems are used as context managers."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Startable(Protocol):
    """`async with` starts it, and stops it at the end of the block, also when the block raises."""

    async def start(self) -> None:
        """Return when it can be used. Raises a `ProcessError` that says what is missing."""
        ...

    async def stop(self) -> object:
        """Return when nothing of it is left running. What it returns says how it ended."""
        ...

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
