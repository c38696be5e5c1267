"""Keeps secrets out of what people read: logs, errors, events, printed settings.

Two things are taken out of a text: the secret values that this process knows (`remember`), in every usual spelling,
and what looks like a secret: credentials and queries of URLs, values of headers and assignments that carry
secrets, and long runs of base64. Every function here takes time in proportion to the length of the text.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MASK = "***"
LONGEST = 4096
"""Characters of one value in a line of a log: a whole response of a platform does not belong there."""

_MOST_CHARS = 32_768  # what is behind is dropped unread: no message needs it
_SHORTEST_SECRET = 4  # shorter ones would blot out half of every text
_DEEPEST = 8
_LARGEST_BITS = 1000

# Names whose value is a secret. A Kafka record's `key` and counts of tokens are none.
_SECRET_NAME = re.compile(r"(?i)(key|password|passwd|secret|signature|authorization|cookie|(^|[_-])token)$")
_HARMLESS = frozenset({"key", "record_key", "idempotency_key", "tombstone_key"})

_URL_END = re.compile(r"[\s\"'<>\\`]")
_SPELLED = r"(?:password|passwd|secret|api[_-]?key|access[_-]?key(?:[_-]id)?|signature|token|sasl_auth_bytes)"
_ASSIGNED = re.compile(
    rf"(?i)({_SPELLED}[\"']?\s{{0,3}}=\s{{0,3}}(?:b?[\"'])?|{_SPELLED}[\"']\s{{0,3}}:\s{{0,3}}b?[\"'])"
    r"([^\s\"',;&)}\]]+)"
)
_HEADER = re.compile(
    r"(?i)((?:proxy-)?authorization|x-api-key|set-cookie|cookie)([\"']?\s{0,3}[:=]\s{0,3}(?:b?[\"'])?)"
    r"((?:basic|bearer|digest|negotiate)\s{1,3})?([^\s\"',)}\]]+)"
)
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_WORDS = ("auth", "key", "cookie", "pass", "secret", "signature", "token")  # one is in all that the two can find
_LONGEST_WORD = 256
_BASE64_RUN = re.compile(rf"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{{{_LONGEST_WORD + 1},}}+")


class KnownSecrets:
    """The secret values of this process. It only grows: a secret that was renewed is still one."""

    def __init__(self) -> None:
        self._spellings: tuple[str, ...] = ()
        self.longest = 0

    def remember(self, secret: str | None, user: str | None = None) -> None:
        """Take `secret` out of every text from now on; `user` is the name that is sent together with it."""
        if secret is None or len(secret) < _SHORTEST_SECRET:
            return
        found = set(self._spellings) | set(_spellings(secret, user))
        # Longest first: one secret may be a part of another.
        self._spellings = tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))
        self.longest = max(map(len, self._spellings))

    def masked(self, text: str) -> str:
        """`text` without any secret of these."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, MASK)
        return text


def _spellings(secret: str, user: str | None) -> Iterable[str]:
    encoded = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield quote(encoded, safe="")
    yield quote_plus(encoded)
    yield repr(secret)[1:-1]
    yield repr(encoded)[2:-1]
    yield json.dumps(secret)[1:-1]
    yield _base64(encoded)
    if user is not None:
        name = user.encode("utf-8", "surrogatepass")
        yield _base64(name + b":" + encoded)  # Basic
        yield _base64(b"\0" + name + b"\0" + encoded)  # SASL PLAIN


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


KNOWN = KnownSecrets()
"""Those of this process: filled when settings and files of secrets are read."""


def remember(secret: str | None, user: str | None = None) -> None:
    """Add a secret to those that this process keeps out of its texts."""
    KNOWN.remember(secret, user)


def clean(text: str) -> str:
    """`text` without secrets. For the border where foreign text enters, and for whatever is shown or published."""
    if len(text) > _MOST_CHARS:
        # The cut may have divided a secret: its first part goes as well.
        text = KNOWN.masked(text[:_MOST_CHARS])
        words = text[: max(0, len(text) - KNOWN.longest)].rsplit(maxsplit=1)
        text = (words[0] if words else "") + "…"
    text = KNOWN.masked(text)
    if "://" in text:
        text = _without_url_secrets(text)
    lowered = text.lower()
    if any(word in lowered for word in _WORDS):  # the expressions are slow, this is not
        text = _HEADER.sub(rf"\1\2\3{MASK}", text)
        text = _ASSIGNED.sub(rf"\1{MASK}", text)
    return _BASE64_RUN.sub(_base64_size, text) if len(text) > _LONGEST_WORD else text


def clean_for_log(text: str) -> str:
    """`clean`, of bounded length, and without what a log can't hold: lone surrogates and control characters."""
    text = clean(text)
    if not text.isprintable():
        text = _UNFIT.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def clean_members(value: object) -> object:
    """Every text inside a JSON value, cleaned. Members of enumerations stay what they are."""
    if type(value) is str:
        return clean(value)
    if isinstance(value, Mapping):
        return {name: clean_members(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean_members(inner) for inner in value]
    return value


def clean_value(name: str, value: object, depth: int = 0) -> object:
    """`value`, logged or printed under `name`, without secrets at any depth and of bounded length."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value) if value.bit_length() < _LARGEST_BITS else "(a number of more than 300 digits)"
    if value is None or isinstance(value, bool | int | float):
        return value
    if name not in _HARMLESS and _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, str):
        return clean_for_log(value)
    if isinstance(value, bytes):
        return clean_for_log(value[:_MOST_CHARS].decode("utf-8", "replace"))
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {clean_for_log(str(key)): clean_value(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean_value(name, inner, depth + 1) for inner in value]
    return clean_for_log(_text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 -- a log line must not fail because of what it tells
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"


def _without_url_secrets(text: str) -> str:
    """Mask the credentials and the query of every URL: a query may hold the signature of a presigned one."""
    parts: list[str] = []
    done = 0
    at = text.find("://")
    while at >= 0:
        begin = at + 3
        found = _URL_END.search(text, begin)
        end = len(text) if found is None else found.start()
        parts += text[done:begin], _masked_url(text[begin:end])
        done = end
        at = text.find("://", end)
    parts.append(text[done:])
    return "".join(parts)


def _masked_url(rest: str) -> str:
    """What stands behind `://`: host, path and so on, perhaps with `user:password@` before it."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    name, colon, port = authority.partition(":")
    if "@" in authority:
        rest = f"{MASK}@{rest[authority.rindex('@') + 1 :]}"
    elif colon and not port.isdigit() and not name.startswith("[") and "@" in rest:
        # A password that should have been escaped, with a `/`, `?` or `#` in it.
        rest = f"{MASK}@{rest[rest.rindex('@') + 1 :]}"
    head, _mark, query = rest.partition("?")
    if query:
        return f"{head}?{MASK}"
    head, _, fragment = rest.partition("#")
    return f"{head}#{MASK}" if "=" in fragment else rest


def _base64_size(match: re.Match[str]) -> str:
    return f"({match.end() - match.start()} characters of base64)"
