"""Which requests were sent, for some hours: so that a notification that comes again sends nothing.

Times are seconds of a clock that never goes back nor jumps: a machine whose time is set must not forget.
"""

from __future__ import annotations

import hashlib

_DIGEST_BYTES = 16


def digest_of(text: str) -> bytes:
    """16 bytes that stand for a request id or an object."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


class Memory:
    """Bounded in time and in number. It is filled from the requests topic, and adds what this process has sent."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._sent: dict[bytes, float] = {}  # in the order of their times, nearly
        self._changes: dict[bytes, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def __repr__(self) -> str:
        return f"<Memory of {len(self._sent)} requests and {len(self._changes)} objects>"

    def knows(self, request_id: str) -> bool:
        """Whether a request with this id was sent."""
        return digest_of(request_id) in self._sent

    def last_change(self, object_digest: bytes) -> str | None:
        """The sequencer of the last change of an object for which a request was sent. `object_digest` stands for it."""
        found = self._changes.get(object_digest)
        return None if found is None else found[0]

    def sent(self, request_id: str, at: float) -> None:
        """A request is in the topic since `at`."""
        self._sent.pop(key := digest_of(request_id), None)
        self._sent[key] = at

    def changed(self, object_digest: bytes, sequencer: str, at: float) -> None:
        """The last change of an object."""
        self._changes.pop(object_digest, None)
        self._changes[object_digest] = (sequencer, at)

    def expire(self, now: float) -> None:
        """Forget what is older than the window, and what is too much. Cheap when there is nothing to forget."""
        until = now - self._seconds
        while self._sent and (len(self._sent) > self._most or next(iter(self._sent.values())) < until):
            del self._sent[next(iter(self._sent))]
        while self._changes and (len(self._changes) > self._most or next(iter(self._changes.values()))[1] < until):
            del self._changes[next(iter(self._changes))]
