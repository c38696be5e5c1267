"""Whether each record of a fuzz run came to its right end: one completion or one dead letter, and no more. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.fuzz.case import digest_of
from tests.fuzz.observer import Completion, Job, Letter, Observed
from tests.fuzz.reading import Asked
from tests.fuzz.sender import Position, SentCase


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that should not be. `number` is the record's, where one is to blame."""

    what: str
    number: int | None = None
    place: Position | None = None
    kind: str = ""


@dataclass(slots=True)
class _Requests:
    """The records of one job that were not dead letters, in the order of the log."""

    analyses: list[tuple[Position, SentCase]] = field(default_factory=list)
    cancels: list[tuple[Position, SentCase]] = field(default_factory=list)


def judge(sent: Mapping[Position, SentCase], seen: Observed) -> list[Failure]:
    """Everything that is wrong; call it when nothing is under way any more."""
    jobs: dict[Job, _Requests] = defaultdict(_Requests)
    failures = list(_letters(sent, seen, jobs))
    for job, requests in jobs.items():
        failures.extend(_job(job, requests, seen))
    strange = seen.completions.keys() - jobs.keys()
    failures.extend(Failure(f"job {_shown(job)} has a completion and was never asked for") for job in strange)
    failures.extend(Failure(f"can't be read: {text}") for text in seen.unreadable)
    return failures


def unfinished(sent: Mapping[Position, SentCase], seen: Observed) -> int:
    """How many records have no end yet: neither a dead letter nor an event of their job that ends it."""
    waiting = 0
    for place, record in sent.items():
        if place in seen.letters:
            continue
        asked = _asked(record, place, seen)
        if asked is None:
            waiting += 1
            continue
        job = place[0], asked.request_id
        ignored = asked.type == "cancel" and job in seen.progress and seen.progress[job]["cancel_ignored"]
        waiting += not (job in seen.completions or ignored)
    return waiting


def _letters(sent: Mapping[Position, SentCase], seen: Observed, jobs: dict[Job, _Requests]) -> Iterator[Failure]:
    for place in sorted(sent):
        record = sent[place]
        letters = seen.letters.get(place, [])
        if len(letters) > 1:
            yield _failure(record, place, f"has {len(letters)} dead letters")
        if letters:
            yield from _letter(record, place, letters[0])
        elif (asked := _asked(record, place, seen)) is None:
            yield _failure(record, place, "has no end: it is no request and has no dead letter")
        elif asked.type == "cancel":
            jobs[place[0], asked.request_id].cancels.append((place, record))
        else:
            jobs[place[0], asked.request_id].analyses.append((place, record))
    for place in seen.letters.keys() - sent.keys():
        yield Failure("a dead letter of a record that was never sent", place=place)


def _asked(record: SentCase, place: Position, seen: Observed) -> Asked | None:
    """What the record asks for; of two readings the one that something was published for."""
    for asked in record.asked:
        job = place[0], asked.request_id
        if job in seen.completions or job in seen.progress:
            return asked
    return record.asked[0] if record.asked else None


def _letter(record: SentCase, place: Position, letter: Letter) -> Iterator[Failure]:
    same = letter.digest in (record.digest, record.digest_as_empty)
    if letter.without_value:
        same = letter.digest.key == record.digest.key
    if not same:
        yield _failure(record, place, f"has a dead letter with other bytes ({letter.code}: {letter.message})")
    if not record.ends & {"any", "dead"}:
        yield _failure(record, place, f"is a good request and became a dead letter ({letter.code}: {letter.message})")


def _job(job: Job, requests: _Requests, seen: Observed) -> Iterator[Failure]:
    progress = seen.progress.get(job, Counter())
    ignored = progress.get("cancel_ignored", 0)
    if not requests.analyses:
        if ignored != len(requests.cancels):
            place, record = requests.cancels[0]
            yield _failure(record, place, f"{len(requests.cancels)} cancels of no job, {ignored} cancel_ignored")
        return
    place, record = requests.analyses[0]
    completions = seen.completions.get(job, [])
    if not completions:
        yield _failure(record, place, f"has no completion; progress was {dict(progress)}")
        return
    if len({completion.digest for completion in completions}) > 1:
        yield _failure(record, place, "has completions that differ")
    if len(completions) > len(requests.analyses):
        yield _failure(record, place, f"has {len(completions)} completions for {len(requests.analyses)} records")
    if progress.get("accepted", 0) != 1:
        yield _failure(record, place, f"was accepted {progress.get('accepted', 0)} times")
    if progress.get("duplicate", 0) != len(requests.analyses) - 1:
        told = progress.get("duplicate", 0)
        yield _failure(record, place, f"was repeated {len(requests.analyses) - 1} times and {told} were told")
    if ignored > len(requests.cancels):
        yield _failure(record, place, f"{len(requests.cancels)} cancels, {ignored} cancel_ignored")
    yield from _end(record, place, job, completions[0], canceled=bool(requests.cancels))


def _end(record: SentCase, place: Position, job: Job, completion: Completion, *, canceled: bool) -> Iterator[Failure]:
    key = digest_of(job[1].encode(), None, ()).key if record.keyless else record.digest.key
    if completion.digest.key != key:
        yield _failure(record, place, "has a completion under another key")
    if completion.end == "failed:internal_error":
        yield _failure(record, place, f"ended as an error of the service: {completion.message}")
    elif completion.end == "canceled":
        if not canceled:
            yield _failure(record, place, "was canceled and nobody asked for it")
    elif "any" not in record.ends and completion.end not in record.ends:
        wanted = ", ".join(sorted(record.ends))
        yield _failure(record, place, f"ended as {completion.end} ({completion.message}), not as {wanted}")


def _failure(record: SentCase, place: Position, what: str) -> Failure:
    return Failure(f"record {record.number} ({record.kind}) {what}", record.number, place, record.kind)


def _shown(job: Job) -> str:
    return f"{job[1][:60]!r} of partition {job[0]}"
