"""The text of a request while it is generated, built of fragments. The rules are those of docs/howto/consume.md."""

from __future__ import annotations

from array import array
from typing import NamedTuple

_MERGE_PIECES = 64
_MOST_EARLY = 1_000
_MOST_EARLY_CHARS = 256 * 1024
_FRAGMENT_BYTES = 8


class Added(NamedTuple):
    """What one fragment has changed. `restarted`: the text before it is void. `sequence`: of the last one added."""

    restarted: bool
    sequence: int
    text: str


class LiveText:
    """The text of the highest attempt seen: always its beginning, without gaps.

    A fragment of a lower attempt, or one that is known, changes nothing. Of an attempt whose beginning was not read
    nothing is shown.
    """

    __slots__ = ("_early", "_early_chars", "_ends", "_pieces", "attempt", "characters", "lost")

    def __init__(self) -> None:
        self.attempt = 0
        self.characters = 0
        self.lost = False
        """The text was let go of, because the memory for texts was full; what comes now is not kept either."""
        self._pieces: list[str] = []
        self._ends = array("L")  # characters of the text up to the end of each fragment
        self._early: dict[int, str] = {}
        self._early_chars = 0

    def __repr__(self) -> str:
        state = ", lost" if self.lost else ""
        return f"<LiveText attempt {self.attempt}: {len(self._ends)} fragments, {self.characters} characters{state}>"

    @property
    def fragments(self) -> int:
        """How many fragments the text is made of: also the sequence of the next one."""
        return len(self._ends)

    @property
    def held_bytes(self) -> int:
        """About how many bytes of memory it takes."""
        return self.characters + self._early_chars + _FRAGMENT_BYTES * (len(self._ends) + len(self._early))

    def take(self, attempt: int, sequence: int, text: str) -> Added | None:
        """Add a fragment. None when nothing is to be shown of it."""
        if attempt < self.attempt:
            return None
        restarted = attempt > self.attempt
        if restarted:
            restarted = self.attempt > 0
            self._begin(attempt)
        index = len(self._ends)
        if self.lost or sequence < index:
            return None
        if sequence > index:
            chars = self._early_chars + len(text)
            if sequence not in self._early and len(self._early) < _MOST_EARLY and chars <= _MOST_EARLY_CHARS:
                self._early[sequence], self._early_chars = text, chars
            return Added(restarted=True, sequence=index, text="") if restarted else None
        added = self._append(text)
        while self._early and len(self._ends) in self._early:
            early = self._early.pop(len(self._ends))
            self._early_chars -= len(early)
            added += self._append(early)
        return Added(restarted, len(self._ends) - 1, added)

    def since(self, fragments: int) -> str:
        """The text behind the first `fragments` fragments."""
        whole = self.whole()
        return whole if fragments <= 0 else whole[self._ends[fragments - 1] :] if fragments <= len(self._ends) else ""

    def whole(self) -> str:
        """The text so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def lose(self) -> None:
        """Let go of the text; a higher attempt is kept again."""
        self._begin(self.attempt)
        self.lost = True

    def _begin(self, attempt: int) -> None:
        self.attempt, self.characters, self.lost = attempt, 0, False
        self._pieces, self._ends, self._early, self._early_chars = [], array("L"), {}, 0

    def _append(self, text: str) -> str:
        if len(self._pieces) >= _MERGE_PIECES:
            self.whole()
        self._pieces.append(text)
        self.characters += len(text)
        self._ends.append(self.characters)
        return text
