"""One connection to one broker: aiokafka's, with what it lacks under TLS and with logins that end.

aiokafka 0.14 waits for the other side's goodbye when it closes a TLS connection, which a broker may never send: 30 s
each. It does not look at how long a login is good for, so the broker cuts the connection in the middle of a request.
It takes every answer to an OAUTHBEARER token for a yes. And whoever asks for a topic's metadata lets the broker make
that topic, where brokers are allowed to: one that was deleted would be back at once, with the broker's own settings.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.protocol.admin import SaslAuthenticateRequest
from aiokafka.protocol.metadata import MetadataRequest

_RENEW_SHARE = 0.8
_JITTER = 0.05
_SAFE_SECONDS = 0.5  # a request that leaves later than this before the end may arrive too late


class BrokerConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """A connection that knows when its login ends, and closes at once."""

    _expires_at: float | None = None
    _renew_at: float | None = None

    @property
    def expired(self) -> bool:
        """Whether the broker would cut it with the next request."""
        return self._expires_at is not None and asyncio.get_running_loop().time() >= self._expires_at

    @property
    def due(self) -> bool:
        """Whether another connection should take its place."""
        return self._renew_at is not None and asyncio.get_running_loop().time() >= self._renew_at

    @property
    def busy(self) -> bool:
        """Whether a request waits for its answer."""
        return bool(self._requests)

    def put_off(self, seconds: float) -> None:
        """Look for another one later: it could not be had now."""
        self._renew_at = asyncio.get_running_loop().time() + seconds

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """As aiokafka's; notes how long a login is good for, and never lets a question make a topic."""
        if isinstance(request, MetadataRequest):
            request._allow_auto_topic_creation = False  # noqa: SLF001
        answer = super().send(request, expect_response)
        return self._noted(answer) if isinstance(request, SaslAuthenticateRequest) else answer

    async def _noted(self, answer: Any) -> Any:
        response = await answer
        lifetime = getattr(response, "session_lifetime_ms", 0) / 1000
        if lifetime > 0:
            now = asyncio.get_running_loop().time()
            share = _RENEW_SHARE + random.uniform(-_JITTER, _JITTER)  # not all connections at once
            self._renew_at = now + share * lifetime
            self._expires_at = now + max(0.9 * lifetime, lifetime - _SAFE_SECONDS)
        return response

    def close(self, reason: Any = None, exc: BaseException | None = None) -> Any:
        """As aiokafka's, but without waiting for the other side's end of TLS: every open request has failed by then."""
        writer = self._writer
        closed = super().close(reason, exc)
        if writer is not None and self._security_protocol.endswith("SSL"):
            writer.transport.abort()
        return closed

    def authenticator_oauth(self) -> Any:
        """The one that hears a refusal."""
        return _HearsRefusal(sasl_oauth_token_provider=self._sasl_oauth_token_provider)


class _HearsRefusal(OAuthAuthenticator):  # type: ignore[misc]  # aiokafka has no types
    """A broker answers a token that it refuses with a reason, and fails the login when that has been acknowledged."""

    async def step(self, payload: bytes | None) -> Any:
        sent = self._token_sent
        following = await super().step(payload)
        return (b"\x01", True) if sent and payload else following
