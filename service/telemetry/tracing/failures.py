"""Why the collector took no spans, in words: the exporter's own last line does not say. Needs the extra `traces`."""

from __future__ import annotations

import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from service.telemetry.tracing.exports import LastWords
from service.words import in_words, kind_of


def heard_session(words: LastWords) -> requests.Session:
    """A session for the exporter that notes in `words` how each of its requests has failed."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Heard(words))
    return session


class _Heard(HTTPAdapter):
    def __init__(self, words: LastWords) -> None:
        super().__init__()
        self._words = words

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        try:
            response = super().send(*arguments, **options)
        except Exception as error:
            self._words.cause = why(error)
            raise
        self._words.cause = f"the collector answers {response.status_code} {response.reason or ''}".strip()
        return response


def why(error: BaseException) -> str:
    """What the system said below all the libraries."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, TimeoutError):
            return "the collector gave no answer in time"
        if isinstance(at, ssl.SSLError) or (isinstance(at, OSError) and at.errno is not None):
            return f"no connection to the collector: {in_words(at)}"
        at = at.__cause__ or at.__context__
    return f"no connection to the collector: {kind_of(error)}"
