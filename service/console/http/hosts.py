"""Which names the console answers to: a page of a stranger must not read it through a name that leads here."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from service.console.http.answers import refused

_LOCAL = frozenset({"localhost", "localhost.localdomain"})


def host_of(netloc: str) -> str:
    """The name in a `Host` header or an origin, without the port, in lower case."""
    name = netloc.rpartition("@")[2]
    if name.startswith("["):
        return name[1:].partition("]")[0].lower()
    return name.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def takes_any_name(listening_on: str, names: Iterable[str]) -> bool:
    """Whether the console answers under any name: it listens for others, and was given no names."""
    here = listening_on in _LOCAL or (_is_address(listening_on) and ipaddress.ip_address(listening_on).is_loopback)
    return not here and not list(names)


class KnownHosts:
    """Middleware: refuses requests whose `Host` is a name that nobody has given the console.

    An IP address can't be made to lead elsewhere, so it is always right.
    """

    def __init__(self, app: ASGIApp, *, listening_on: str, names: Iterable[str]) -> None:
        self._app = app
        given = {name.lower() for name in names}
        self._any = takes_any_name(listening_on, given)
        self._names = given | _LOCAL | {listening_on.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._any:
            given = next((value for name, value in scope["headers"] if name == b"host"), b"")
            name = host_of(given.decode("latin-1"))
            # A probe of the health may come under any name; it shows nothing of a request.
            if name not in self._names and not _is_address(name) and not scope["path"].startswith("/health/"):
                sentence = "the console is not asked for under this name"
                if not scope["path"].startswith("/stream/"):  # read by end users, who have nothing to set
                    sentence += ": set REELWIRE_CONSOLE__HOSTS"
                answer = refused(421, sentence)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
