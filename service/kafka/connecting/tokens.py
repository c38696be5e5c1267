"""Tokens for OAUTHBEARER: fetched from an authorization server or signed for AWS, and renewed before they run out.

aiokafka asks for a token with every connection. A process has dozens of connections, so a token is kept and shared.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from service.errors import SettingsError
from service.settings import KafkaSettings
from service.telemetry.redaction import clean, remember
from service.words import in_words

_FETCH_SECONDS = 8.0
_LARGEST_ANSWER = 64 * 1024
_USED_SHARE = 0.8
_USUAL_SECONDS = 300.0  # of a token that does not say how long it is good for
_MSK_REGION = re.compile(r"\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?:")


class TokenRefused(KafkaConnectionError):  # type: ignore[misc]  # aiokafka has no types
    """No token can be had. The text says of whom it was asked, and why not."""


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Keeps a token until four fifths of its time are over; one that can't be renewed is used to its end."""

    def __init__(self) -> None:
        self._token = ""
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._fetching: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """The token to log in with. Raises `TokenRefused`."""
        if self._now() >= self._renew_at:
            try:
                await self._renewed()
            except TokenRefused:
                if self._now() >= self._ends_at:
                    raise
        return self._token

    async def fetch(self) -> tuple[str, float]:
        """A new token and for how many seconds it is good. Raises `TokenRefused`."""
        raise NotImplementedError

    async def _renewed(self) -> None:
        """Fetch once for all who ask meanwhile."""
        fetching, loop = self._fetching, asyncio.get_running_loop()
        if fetching is None or fetching.done() or fetching.get_loop() is not loop:
            fetching = self._fetching = asyncio.create_task(self._renew())
            fetching.add_done_callback(lambda task: None if task.cancelled() else task.exception())
        await asyncio.shield(fetching)

    async def _renew(self) -> None:
        asked_at = self._now()
        token, seconds = await self.fetch()
        remember(token)
        self._token = token
        self._renew_at, self._ends_at = asked_at + _USED_SHARE * seconds, asked_at + seconds

    @staticmethod
    def _now() -> float:
        return time.monotonic()


class ClientCredentials(TokenProvider):
    """Tokens of an authorization server, by the client credentials grant (RFC 6749, 4.4)."""

    def __init__(self, url: str, client_id: str, secret: str, scope: str | None) -> None:
        super().__init__()
        self._url = url
        self._client_id = client_id
        self._secret = secret
        self._scope = scope

    async def fetch(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        pair = f"{quote_plus(self._client_id)}:{quote_plus(self._secret)}"
        login = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        try:
            timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
            async with (
                aiohttp.ClientSession(trust_env=True, timeout=timeout) as session,
                session.post(self._url, data=form, headers=login, allow_redirects=False) as answer,
            ):
                body = await answer.content.read(_LARGEST_ANSWER)
                status = answer.status
        except TimeoutError:
            raise self._refused(f"does not answer within {_FETCH_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._refused(f"can't be reached: {in_words(error)}") from error
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if status != 200 or not isinstance(said, dict):
            raise self._refused(f"answers {status}{_reason(said)}")
        token, seconds = said.get("access_token"), said.get("expires_in", _USUAL_SECONDS)
        if not isinstance(token, str) or not token:
            raise self._refused("answers without an access_token")
        return token, _seconds(seconds)

    def _refused(self, what: str) -> TokenRefused:
        return TokenRefused(
            clean(
                f"the token server at {self._url} {what}; check REELWIRE_KAFKA__SASL_OAUTH_TOKEN_URL, "
                "REELWIRE_KAFKA__SASL_OAUTH_CLIENT_ID, its client secret and REELWIRE_KAFKA__SASL_OAUTH_SCOPE"
            )
        )


def _reason(said: object) -> str:
    """`error` and `error_description` of an answer, as RFC 6749 has them."""
    if not isinstance(said, dict):
        return ""
    parts = [str(said[name])[:200] for name in ("error", "error_description") if said.get(name)]
    return f", {': '.join(parts)}" if parts else ""


def _seconds(value: object) -> float:
    if not isinstance(value, int | float | str):
        return _USUAL_SECONDS
    try:
        seconds = float(value)
    except ValueError:
        return _USUAL_SECONDS
    return seconds if 0 < seconds < 10**9 else _USUAL_SECONDS


class MskTokens(TokenProvider):
    """Tokens for Amazon MSK, signed with the AWS credentials of this machine or pod by Amazon's own library."""

    def __init__(self, region: str) -> None:
        super().__init__()
        try:
            from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
        except ImportError:
            raise SettingsError(
                "REELWIRE_KAFKA__SASL_MECHANISM: AWS_MSK_IAM needs the msk extra: pip install 'reelwire[msk]'"
            ) from None
        self._signer: Any = MSKAuthTokenProvider
        self._region = region

    async def fetch(self) -> tuple[str, float]:
        try:
            # It may ask a metadata service for credentials, and blocks.
            token, ends_ms = await asyncio.to_thread(self._signer.generate_auth_token, self._region)
        except Exception as error:  # the library's and botocore's errors have no base of their own
            raise TokenRefused(
                clean(
                    f"no token could be signed for Amazon MSK in {self._region}: {in_words(error)}; "
                    "check the AWS credentials of this process (AWS_ACCESS_KEY_ID, a role, a profile)"
                )
            ) from error
        return token, _seconds(ends_ms / 1000 - time.time())


def msk_region(settings: KafkaSettings) -> str:
    """The region of the cluster: `AWS_REGION`, else as the names of the brokers have it. Raises `SettingsError`."""
    found = _MSK_REGION.search(settings.bootstrap_servers)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or (found.group(1) if found else "")
    if not region:
        raise SettingsError(
            "AWS_REGION: is needed with REELWIRE_KAFKA__SASL_MECHANISM=AWS_MSK_IAM, unless "
            "REELWIRE_KAFKA__BOOTSTRAP_SERVERS holds the names that Amazon has given the brokers"
        )
    return region
