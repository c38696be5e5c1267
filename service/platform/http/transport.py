"""httpx over aiohttp's connections, and what their exceptions mean for a call that may be billed.

httpx's own pool scans itself on every request and loses slots on cancellation. Concurrency is limited by our
semaphores instead, so the connector has no limit of its own.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from service.errors import SettingsError
from service.platform.errors import NotSent, OutcomeUnknown, PlatformError

KEEPALIVE_SECONDS = 3.0
"""How long an idle connection may be used again. When a server closes one just as a POST goes out, the outcome of the
POST is unknown; servers and load balancers keep idle connections for 5 s or more."""

_NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,  # refused, unreachable, DNS, TLS, certificate, proxy unreachable
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,  # the proxy refused the tunnel
    aiohttp.InvalidURL,
)

FOREIGN_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, aiohttp.ClientError, OSError)
"""Everything the HTTP libraries raise; the transport lets some of aiohttp's own through."""

READER = "reelwire.reader"
"""Where `_Transport` leaves aiohttp's reader of the body, in a response's extensions."""


class _Transport(AiohttpTransport):
    """Also hands out aiohttp's own reader, which streams are read from; without it they are only slower to read.

    Why, and what it stands on: docs/decisions/0012-streams-are-read-below-httpx.md.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        inner = getattr(response.stream, "_aiohttp_response", None)
        if isinstance(inner, aiohttp.ClientResponse):
            response.extensions[READER] = inner.content
        return response


def open_client(base_url: str, headers: dict[str, str]) -> httpx.AsyncClient:
    """A client of its own connections; every call brings its own timeouts.

    Redirects are not followed, so the key goes nowhere else. Raises `SettingsError` when the platform's address, or the
    proxy's, can't be read.
    """
    _check_address(base_url, "platform.base_url")
    proxy = proxy_for(base_url)
    transport = _Transport(
        client=lambda: aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy,
            skip_auto_headers=("Content-Type",),  # a POST without a body, such as a cancel, has none
        )
    )
    return httpx.AsyncClient(
        transport=transport, base_url=base_url.rstrip("/") + "/", headers=headers, follow_redirects=False, timeout=60
    )


def proxy_for(base_url: str) -> str | None:
    """The proxy that the environment names (`HTTPS_PROXY`, `NO_PROXY`); None for none."""
    parts = urlsplit(base_url)
    if proxy_bypass(parts.netloc):
        return None
    proxy = getproxies().get(parts.scheme)
    if proxy is not None:
        _check_address(proxy, f"{parts.scheme.upper()}_PROXY")
    return proxy


def _check_address(address: str, setting: str) -> None:
    """Refuse an address whose password would be read as a part of the host, the port or the path.

    Host and port are published when nothing answers there.
    """
    try:
        parts = urlsplit(address)
        readable = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        readable = False
    if not readable or "@" in parts.path + parts.query + parts.fragment:
        raise SettingsError(
            f"{setting} is no address that can be read; in its user name and password, write / as %2F, ? as %3F,"
            " # as %23, @ as %40 and : as %3A"
        )


def timeouts(connect_seconds: float, read_seconds: float) -> httpx.Timeout:
    """`connect_seconds` covers DNS, TCP and TLS together; `read_seconds` each wait for bytes."""
    return httpx.Timeout(connect=connect_seconds, pool=connect_seconds, read=read_seconds, write=read_seconds)


def unanswered(error: Exception) -> PlatformError:
    """What a failure of the connection means. Only a connection that was never made is sure to have sent nothing.

    The transport calls every lost connection a `ConnectTimeout`, so the cause underneath decides.
    """
    cause = error.__cause__ if isinstance(error, httpx.HTTPError) and error.__cause__ is not None else error
    if isinstance(cause, (*_NEVER_CONNECTED, httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return NotSent(f"the platform can't be reached: {_words(cause)}")
    return OutcomeUnknown(f"the platform gave no complete answer: {_words(cause)}")


def _words(cause: BaseException) -> str:
    """The failure for people, with the host and port that can't be reached: those of the proxy, if there is one.

    Never the libraries' own text: it may hold a proxy's address with its password.
    """
    match cause:
        case aiohttp.ClientConnectorDNSError():
            return f"the name {cause.host} can't be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not accepted"
        case aiohttp.ClientConnectorSSLError():
            return "no TLS connection could be made"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answered {cause.status}"
        case aiohttp.ClientConnectorError():
            host = f"[{cause.host}]" if ":" in cause.host else cause.host
            proxy = "the proxy at " if isinstance(cause, aiohttp.ClientProxyConnectionError) else ""
            number = cause.errno or 0
            reason = os.strerror(number).lower() if number > 0 else "no connection could be made"
            return f"{proxy}{host}:{cause.port}: {reason}"
        case aiohttp.InvalidURL() | httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return "its address is not valid, check platform.base_url"
        case aiohttp.ConnectionTimeoutError():
            return "no connection within platform.connect_timeout_seconds"
        case aiohttp.ServerTimeoutError() | httpx.TimeoutException() | TimeoutError():
            return "nothing came for as long as the read timeout"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before the answer"
        case aiohttp.ClientPayloadError():
            return "the connection was cut in the middle of the answer"
        case OSError(errno=int(number)) if number > 0:  # its own text may be Python's, with an address in it
            return os.strerror(number).lower()
        case _:
            return "the answer was no HTTP, or the connection failed in the middle of it"
