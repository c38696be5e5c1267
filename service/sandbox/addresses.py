"""Free ports on 127.0.0.1, outside the range that the system uses for outgoing connections.

A client that connects again and again to a closed port of that range can end up connected to itself; a broker that
is started again then finds its port in use.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

from service.sandbox.errors import PortError

HOST = "127.0.0.1"
_LOWEST, _HIGHEST = 20_000, 29_999
_TRIES = 200


def candidates() -> Iterable[int]:
    """Ports to try, in random order, so that two brokers that start at once rarely try the same."""
    return random.sample(range(_LOWEST, _HIGHEST + 1), _TRIES)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` at this moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int, *, tried: Iterable[int] | None = None) -> tuple[int, ...]:
    """`count` different free ports. Raises `PortError` if too few of the ports in `tried` are free."""
    found: list[int] = []
    looked_at = 0
    for port in candidates() if tried is None else tried:
        looked_at += 1
        if port not in found and is_free(port):
            found.append(port)
            if len(found) == count:
                return tuple(found)
    raise PortError(f"{count} free ports are needed on {HOST}; of {looked_at} tried, {len(found)} were free")
