"""A real broker that comes back at other ports, behind a bootstrap address that stays."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from service.sandbox.addresses import HOST, free_ports
from service.sandbox.broker.local import LocalBroker
from tests.support.listeners import Listener


class Forwarder:
    """Listens at one port for ever and passes connections on to wherever `target` is."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.target: int | None = None
        self._listener = Listener()
        self._passing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._listener.start(self._accept, self.port)

    async def stop(self) -> None:
        for task in list(self._passing):
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await self._listener.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        ends = [writer]
        try:
            assert self.target is not None
            with suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(HOST, self.target)
                ends.append(far_writer)
                await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))
        except asyncio.CancelledError:
            pass
        finally:
            for end in ends:
                end.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class MovingBroker:
    """One broker with its data in `folder`. `bootstrap_servers` is the forwarder's address and never changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.forwarder = Forwarder()
        self.broker = LocalBroker(data_dir=folder)

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.forwarder.port}"

    async def start(self) -> None:
        await self.broker.start()
        self.forwarder.target = int(self.broker.bootstrap_servers.rpartition(":")[2])

    def kill(self) -> None:
        self.broker.kill()

    async def come_back_elsewhere(self) -> None:
        """The same cluster with the same data, under addresses that nobody has seen."""
        self.broker.kill()
        self.broker = LocalBroker(data_dir=self._folder)
        await self.start()

    async def __aenter__(self) -> Self:
        await self.forwarder.start()
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.broker.stop()
        await self.forwarder.stop()
