"""The secret values that a process knows, found in a text however they are spelled."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

from service.telemetry.plain_view import SPACE, View, views

MASK = "***"

_SHORTEST_SECRET = 4  # shorter ones would blot out half of every text
_SHORTEST_VALUE = 8
_MOST_VALUES = 50
_LONGEST_ESCAPE = 6  # `\u002b`


class KnownSecrets:
    """Secret values. It only grows: a secret that was renewed is still one."""

    def __init__(self) -> None:
        self._spellings: tuple[str, ...] = ()
        self._plain: tuple[str, ...] = ()
        self.longest = 0
        """Characters of the longest secret, when each of them is escaped."""

    def remember(self, secret: str | None, user: str | None = None) -> None:
        """Take `secret` out of every text from now on; `user` is the name that is sent together with it."""
        if secret is None or len(secret) < _SHORTEST_SECRET:
            return
        spellings = set(_spellings(secret, user))
        # Longest first: one secret may be a part of another.
        self._spellings = _sorted(spellings.union(self._spellings))
        self._plain = _sorted(self._plain_forms(spellings).union(self._plain))
        self.longest = _LONGEST_ESCAPE * len(self._spellings[0])

    def masked(self, text: str) -> str:
        """`text` without any secret of these."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, MASK)
        return text

    def spans(self, view: View) -> Iterator[tuple[int, int]]:
        """Where these secrets stand in a view whose escapes were undone, as places in the original."""
        text = view.text.replace(" ", SPACE)
        for secret in self._plain:
            at = text.find(secret)
            while at >= 0:
                yield view.span(at, at + len(secret))
                at = text.find(secret, at + len(secret))

    @staticmethod
    def _plain_forms(spellings: Iterable[str]) -> set[str]:
        forms = {
            view.text.replace(" ", SPACE).rstrip("\\")
            for spelling in spellings
            for form in (spelling, spelling.encode("utf-8", "surrogatepass").decode("latin-1"))
            for view in views(form)
        }
        return {form for form in forms if len(form) >= _SHORTEST_SECRET}


@lru_cache(maxsize=256)
def secrets_of_url(*urls: str) -> KnownSecrets:
    """The passwords and the values of the queries of a request's URLs: a library may quote them without the URL.

    Values shorter than 8 characters are no signatures, and would blot out ordinary words.
    """
    known = KnownSecrets()
    for url in urls:
        head, _, query = url.partition("?")
        credentials, at, _ = head.partition("://")[2].rpartition("@")
        known.remember(credentials.partition(":")[2] if at else None)
        for pair in query.split("&")[:_MOST_VALUES]:
            value = pair.partition("=")[2]
            if len(value) >= _SHORTEST_VALUE:
                known.remember(value)
                known.remember(unquote(value))
    return known


def _sorted(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


def _spellings(secret: str, user: str | None) -> Iterable[str]:
    encoded = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield quote(encoded, safe="")
    yield quote_plus(encoded)
    yield repr(secret)[1:-1]
    yield repr(encoded)[2:-1]
    yield json.dumps(secret)[1:-1]
    yield from _base64(encoded)
    if user is not None:
        name = user.encode("utf-8", "surrogatepass")
        yield from _base64(name + b":" + encoded)  # Basic
        yield from _base64(b"\0" + name + b"\0" + encoded)  # SASL PLAIN


def _base64(raw: bytes) -> Iterable[str]:
    yield base64.b64encode(raw).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
