"""The verdict of a fuzz run: for each promise, what breaks it is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fuzz.case import ANY_END, Digest, digest_of
from tests.fuzz.observer import Completion, Letter, Observed
from tests.fuzz.reading import Asked
from tests.fuzz.sender import SentCase
from tests.fuzz.verdict import judge, unfinished

pytestmark = pytest.mark.unit

KEY = b"cam7"
GOOD, AGAIN, CANCEL, BAD = (0, 0), (0, 1), (0, 2), (0, 3)
JOB = (0, "a")


def _digest(what: bytes) -> Digest:
    return digest_of(KEY, what, ())


def _sent(number: int, kind: str, asked: Asked | None, ends: frozenset[str] = ANY_END) -> SentCase:
    return SentCase(
        number=number,
        kind=kind,
        digest=_digest(kind.encode()),
        keyless=False,
        ends=ends,
        digest_as_empty=_digest(kind.encode()),
        asked=(asked,) if asked else (),
    )


def _letter(digest: Digest, code: str) -> Letter:
    return Letter(digest, code, "", without_value=False)


SENT = {
    GOOD: _sent(0, "valid", Asked("analyze", "a"), frozenset({"completed"})),
    AGAIN: _sent(1, "repeat", Asked("analyze", "a")),
    CANCEL: _sent(2, "cancel", Asked("cancel", "nobody")),
    BAD: _sent(3, "bytes", None),
}


def _seen() -> Observed:
    seen = Observed()
    seen.completions[JOB].append(Completion(_digest(b"completion"), "completed", ""))
    seen.progress[JOB].update(accepted=1, duplicate=1)
    seen.progress[0, "nobody"].update(cancel_ignored=1)
    seen.letters[BAD].append(_letter(_digest(b"bytes"), "not_json"))
    return seen


def test_a_run_in_which_everything_ended_once_is_clean() -> None:
    assert judge(SENT, _seen()) == []
    assert unfinished(SENT, _seen()) == 0
    assert unfinished(SENT, Observed()) == 4


BROKEN: dict[str, Callable[[Observed], object]] = {
    "has no end": lambda seen: seen.letters.pop(BAD),
    "has 2 dead letters": lambda seen: seen.letters[BAD].append(seen.letters[BAD][0]),
    "a dead letter with other bytes": lambda seen: seen.letters.update({BAD: [_letter(_digest(b"other"), "not_json")]}),
    "is a good request and became a dead letter": lambda seen: seen.letters[GOOD].append(
        _letter(_digest(b"valid"), "invalid")
    ),
    "never sent": lambda seen: seen.letters[9, 9].append(seen.letters[BAD][0]),
    "has no completion": lambda seen: seen.completions.pop(JOB),
    "has completions that differ": lambda seen: seen.completions[JOB].append(
        Completion(_digest(b"another"), "completed", "")
    ),
    "3 completions for 2 records": lambda seen: seen.completions[JOB].extend(seen.completions[JOB] * 2),
    "was accepted 2 times": lambda seen: seen.progress[JOB].update(accepted=1),
    "1 times and 2 were told": lambda seen: seen.progress[JOB].update(duplicate=1),
    "1 cancels of no job, 0": lambda seen: seen.progress[0, "nobody"].clear(),
    "under another key": lambda seen: seen.completions.update(
        {JOB: [Completion(digest_of(b"other", b"", ()), "completed", "")]}
    ),
    "nobody asked for it": lambda seen: seen.completions.update({JOB: [Completion(_digest(b""), "canceled", "")]}),
    "ended as failed:rejected": lambda seen: seen.completions.update(
        {JOB: [Completion(_digest(b""), "failed:rejected", "")]}
    ),
    "an error of the service": lambda seen: seen.completions.update(
        {JOB: [Completion(_digest(b""), "failed:internal_error", "")]}
    ),
    "was never asked for": lambda seen: seen.completions[0, "b"].append(seen.completions[JOB][0]),
    "can't be read": lambda seen: seen.unreadable.append("progress 0/7"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_a_promise_is_found(what: str) -> None:
    seen = _seen()
    BROKEN[what](seen)

    assert [failure.what for failure in judge(SENT, seen) if what in failure.what]
