"""The signature of a webhook: `TL-Signature: t=<seconds>,v1=<hex>`, HMAC-SHA256 over `t`, a dot and the raw body."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass

TOLERANCE_SECONDS = 300.0
"""How far the time of a signature may be from ours, in either direction."""

_MAX_HEADER_CHARS = 4_096
_SECONDS = re.compile(r"[0-9]{1,12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class WebhookRefused(Exception):
    """The webhook is not accepted: `outcome` is the word for that in metrics and in the answer."""

    def __init__(self, status: int, outcome: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Signature:
    """The parts of the header that count."""

    time: str
    digests: tuple[str, ...]


def sign(secret: str, time: str, body: bytes) -> str:
    """The digest of a body that is sent at `time` (seconds since the epoch, as written)."""
    return hmac.new(secret.encode(), time.encode() + b"." + body, hashlib.sha256).hexdigest()


def parse_signature(header: str | None, header_name: str = "TL-Signature") -> Signature:
    """Read the header: its parts in any order, unknown ones passed over. Raises `WebhookRefused`, malformed."""
    if header is None:
        raise WebhookRefused(400, "malformed", f"there is no header {header_name}")
    if len(header) > _MAX_HEADER_CHARS:
        raise WebhookRefused(400, "malformed", f"the header {header_name} is too long")
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    digests = tuple(value for name, _, value in parts if name == "v1" and _DIGEST.fullmatch(value))
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]) or not digests:
        raise WebhookRefused(400, "malformed", f"the header {header_name} is not of the form t=<seconds>,v1=<hex>")
    return Signature(times[0], digests)


def verify(
    header: str | None, body: bytes, secrets: Iterable[str], now: float, *, header_name: str = "TL-Signature"
) -> Signature:
    """Check a webhook against every secret. Raises `WebhookRefused`: malformed, forged, or stale.

    Compared in constant time, and the time only of what is authentic: no answer tells how near a forgery is.
    """
    signature = parse_signature(header, header_name)
    authentic = False
    for secret in secrets:
        expected = sign(secret, signature.time, body)
        for digest in signature.digests:
            authentic = hmac.compare_digest(expected, digest) or authentic
    if not authentic:
        raise WebhookRefused(401, "forged", "the signature is not made with a secret that is known here")
    if abs(now - int(signature.time)) > TOLERANCE_SECONDS:
        raise WebhookRefused(403, "stale", f"the signature is more than {TOLERANCE_SECONDS:.0f} s from the time here")
    return signature
