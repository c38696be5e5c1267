"""Who has signed in: a session cookie that no script reads, a word against forged requests, and bounds on guessing."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

COOKIE: Final = "reelwire_console"
SESSION_SECONDS: Final = 12 * 3600
_MOST_SESSIONS: Final = 1_000
_WINDOW_SECONDS: Final = 60.0
_TRIES: Final = 10
_TRIES_OF_ALL: Final = 100
_MOST_ADDRESSES: Final = 1_000


def equal(given: str, right: str) -> bool:
    """Whether two texts are the same, in a time that does not tell where they differ, nor how long they are."""
    return hmac.compare_digest(_digest(given), _digest(right))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Session:
    """`csrf` must come with every action, in a header: another origin's page can't know it, or set it."""

    csrf: str
    until: float


class Sessions:
    """The sessions of this process. What is kept of the cookie is its digest. `now` is the time of the loop."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, now: float) -> tuple[str, Session]:
        """A new session and the value of its cookie."""
        identity = secrets.token_urlsafe(32)
        session = Session(secrets.token_urlsafe(32), now + SESSION_SECONDS)
        self._sessions[_digest(identity)] = session
        while len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return identity, session

    def find(self, identity: str | None, now: float) -> Session | None:
        """The session of a cookie; None when there is none, or it is over."""
        if not identity:
            return None
        mark = _digest(identity)
        session = self._sessions.get(mark)
        if session is not None and session.until <= now:
            del self._sessions[mark]
            return None
        return session

    def end(self, identity: str | None) -> None:
        """Sign out."""
        if identity:
            self._sessions.pop(_digest(identity), None)


class Tries:
    """Failed attempts to sign in: at most 10 a minute from one address, 100 from all."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def wait_seconds(self, address: str, now: float) -> float:
        """How long this address has to wait before its next attempt; 0 when it need not."""
        return max(_wait(self._of.get(address), _TRIES, now), _wait(self._all, _TRIES_OF_ALL, now))

    def failed(self, address: str, now: float) -> None:
        """Note a wrong attempt."""
        own = self._of.setdefault(address, deque(maxlen=_TRIES))
        self._of.move_to_end(address)
        own.append(now)
        self._all.append(now)
        while len(self._all) > _TRIES_OF_ALL:
            self._all.popleft()
        while len(self._of) > _MOST_ADDRESSES:
            self._of.popitem(last=False)


def _wait(times: deque[float] | None, most: int, now: float) -> float:
    if times is None or len(times) < most:
        return 0.0
    return max(0.0, times[0] + _WINDOW_SECONDS - now)
