"""Content inside a request as base64, with or without the prefix of a `data:` URL."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from contracts.rejection import rule

_STANDARD = re.compile(r"[A-Za-z0-9+/]++={0,2}")
_MAX_PREFIX_CHARS = 256
# Parameters may hold commas (`codecs=vp8,opus`), so the first comma is not the end of the prefix.
_PREFIX = re.compile(r"(?i)data:[^\x00-\x1f\x7f]*?;base64,")

_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": r"^([Dd][Aa][Tt][Aa]:[^\x00-\x1f\x7f]{0,243};[Bb][Aa][Ss][Ee]64,)?[A-Za-z0-9+/]+={0,2}$",
}


def base64_content(text: str) -> str:
    """`text` without a `data:…;base64,` prefix, if the rest is base64 in the standard alphabet; raises a rule.

    The platform takes it padded or not. White space and the URL-safe alphabet are refused: the platform is not
    known to take them, and a repaired copy would no longer be what the sender signed or hashed.
    """
    if text[:5].lower() == "data:":
        prefix = _PREFIX.match(text, 0, _MAX_PREFIX_CHARS)
        if prefix is None:
            raise rule(f"a data: URL must have ;base64, before its content, within {_MAX_PREFIX_CHARS} characters")
        text = text[prefix.end() :]
    if _STANDARD.fullmatch(text) is None:
        raise rule(_what_is_wrong(text))
    stripped = len(text.rstrip("="))
    if stripped % 4 == 1 or (len(text) != stripped and len(text) % 4):
        raise rule("is not base64: its length can't be right; encode the whole content, padded or not")
    return text


def _what_is_wrong(text: str) -> str:
    if not text:
        return "is empty; encode the content"
    if any(character in text for character in " \t\r\n"):
        return "is base64 with white space; send it without line ends and spaces"
    if "-" in text or "_" in text:
        return "is not standard base64: use + and / where the URL-safe alphabet has - and _"
    return "is not base64: only letters, digits, + and / may be used, and = at the end"


Base64 = Annotated[str, AfterValidator(base64_content), WithJsonSchema(_SCHEMA)]
