"""Tokens with which a browser of somebody else may follow one request, or those of one tenant, until a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import jwt

from service.errors import ReelwireError

_ALGORITHM: Final = "HS256"
_KIND: Final = "JWT"
_LONGEST: Final = 4_096
LONGEST_SECONDS: Final = 7 * 24 * 3600
"""No token is taken that is valid for longer: one in milliseconds would be for ever."""
_SKEW_SECONDS: Final = 300.0
"""The clock of who signs may be ahead of ours."""
_OPTIONS: Final[Any] = {
    "require": ["exp"],
    "verify_nbf": False,  # looked at below, with the difference of clocks
    "verify_iat": False,  # libraries set it to the time of their own clock
    "verify_sub": False,
    "verify_jti": False,
}


class TokenRefused(ReelwireError):
    """The token is not valid: it was changed, it is signed with another secret, or it has no time at which it ends."""


class TokenExpired(TokenRefused):
    """The token has expired: ask for a new one."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: one request, or all of one tenant. `until`: seconds since the epoch."""

    until: float
    request_id: str | None = None
    tenant: str | None = None


def sign(secret: str, grant: Grant) -> str:
    """The token for a grant."""
    claims: dict[str, Any] = {"exp": int(grant.until)}
    if grant.request_id is not None:
        claims["req"] = grant.request_id
    if grant.tenant is not None:
        claims["tenant"] = grant.tenant
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def read_token(secret: str, token: str) -> Grant:
    """What the token grants. Raises `TokenRefused`, and `TokenExpired` when nothing else is wrong with it.

    No algorithm but HS256 is taken, whatever the token's header says; a token without `exp` is none, nor is one that
    ends in more than `LONGEST_SECONDS`. The messages are for browsers of end users: they name no setting.
    """
    if not token:
        raise TokenRefused("the token is missing: it is the parameter `token` of the address")
    if len(token) > _LONGEST:
        raise TokenRefused
    try:
        decoded = jwt.decode_complete(token, secret, algorithms=[_ALGORITHM], options=_OPTIONS)
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except jwt.InvalidAudienceError:
        raise TokenRefused("the token names who it is for (aud), which is not looked at here: leave it out") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError):
        raise TokenRefused from None
    claims = decoded["payload"]
    if str(decoded["header"].get("typ", _KIND)).upper() != _KIND:
        raise TokenRefused(f"the token is one for something else: the member typ of its header must be {_KIND}")
    request_id, tenant = claims.get("req"), claims.get("tenant")
    if (request_id is None) == (tenant is None) or not isinstance(request_id or tenant, str):
        raise TokenRefused("the token must name either one request (req) or one tenant (tenant)")
    until, since = claims["exp"], claims.get("nbf", 0)
    if not isinstance(until, int) or isinstance(until, bool):
        raise TokenRefused("the token's exp must be a whole number: seconds since 1970")
    if not isinstance(since, int | float):
        raise TokenRefused("the token's nbf must be a number: seconds since 1970")
    if since > time.time() + _SKEW_SECONDS:
        raise TokenRefused("the token is not valid yet: its nbf is in the future")
    if until > time.time() + LONGEST_SECONDS + _SKEW_SECONDS:
        raise TokenRefused("the token's exp is more than 7 days away; it is counted in seconds, not in milliseconds")
    return Grant(float(until), request_id, tenant)
