"""Closing a connection over TLS to a broker that says no goodbye, as one that is busy sending does not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from service.kafka.connecting.broker_connection import BrokerConnection
from tests.secured.certificates import Authority

pytestmark = pytest.mark.integration


class Silent(BrokerConnection):
    """Asks nothing of the other side, which would not answer."""

    async def _do_version_lookup(self) -> None:
        return


@pytest.fixture
def silent_port(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A port that takes TLS connections and then neither reads nor writes; and the authority to trust there."""
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("server"))
    over = threading.Event()

    def serve(listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        with context.wrap_socket(accepted, server_side=True):
            over.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1], authority.file
        over.set()
        thread.join()


@pytest.mark.parametrize("run", [pytest.param(asyncio.run, id="asyncio"), pytest.param(uvloop.run, id="uvloop")])
def test_a_goodbye_is_not_waited_for(
    silent_port: tuple[int, Path], run: Callable[[Coroutine[Any, Any, float]], float]
) -> None:
    port, authority = silent_port

    async def connect_and_close() -> float:
        context = ssl.create_default_context(cafile=str(authority))
        conn = Silent("127.0.0.1", port, security_protocol="SSL", ssl_context=context)
        await conn.connect()
        begun = time.monotonic()
        async with asyncio.timeout(10):
            await conn.close()
        return time.monotonic() - begun

    assert run(connect_and_close()) < 2
