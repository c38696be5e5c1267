"""Dead letters, and what became of them: the same rules as `reelwire dlq`."""

from __future__ import annotations

import base64
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from contracts.deadletters import DISCARD_OF, REDRIVE_OF, letter_place
from contracts.instants import parse_rfc3339
from service.cli.reading.dead_letter import DeadLetter, as_dead_letter, readable, readable_name
from service.kafka.ports import InRecord
from service.telemetry.redaction import KNOWN, clean, clean_members, clean_value

State = Literal["open", "redriven", "discarded"]
MOST_LETTERS = 5_000
_MOST_BYTES = 32 * 1024
_HEADER_CHARS = 2_000
_ID_CHARS = 200
_MESSAGE_CHARS = 2_000
_NAME_CHARS = 400  # of a place: topics have at most 249 characters

Place = tuple[int, int]
"""Partition and offset in the dead-letter topic."""


@dataclass(slots=True)
class Letter:
    """A dead letter as lists show it: its value stays in the topic."""

    partition: int
    offset: int
    time_ms: int
    code: str
    message: str
    request_id: str | None
    topic: str | None
    source_partition: int | None
    source_offset: int | None
    bytes: int
    sendable: bool
    """Whether it holds the whole record of a request."""

    def as_json(self, state: State) -> dict[str, Any]:
        """`Letter` of the console's interface."""
        source = {"topic": self.topic, "partition": self.source_partition, "offset": self.source_offset}
        return {
            "partition": self.partition,
            "offset": self.offset,
            "time_ms": self.time_ms,
            "code": self.code,
            "message": clean(self.message),
            "request_id": self.request_id,
            "source": source,
            "bytes": self.bytes,
            "state": state,
            "redrivable": self.sendable and state == "open",
        }


class LetterBook:
    """The last 5,000 dead letters. Fed with records of the dead-letter topic and of the requests topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.forget()

    def forget(self) -> None:
        """Begin again with nothing."""
        self._letters: OrderedDict[Place, Letter] = OrderedDict()
        self._redriven: OrderedDict[str, None] = OrderedDict()
        self._discarded: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._letters)

    def take(self, record: InRecord) -> None:
        """A record of the dead-letter topic: a letter, or a note that one was discarded."""
        self.take_request(record)
        _remember(self._discarded, record, DISCARD_OF)
        letter = as_dead_letter(record)
        if letter.is_note:
            return
        self._letters[record.partition, record.offset] = _listed(letter, record.timestamp_ms)
        if len(self._letters) > MOST_LETTERS:
            self._letters.popitem(last=False)

    def take_request(self, record: InRecord) -> None:
        """A record of the requests topic: one that was redriven says which letter it was sent from."""
        _remember(self._redriven, record, REDRIVE_OF)

    def state_of(self, partition: int, offset: int) -> State:
        """What became of a letter. Discarding counts more than what was done before."""
        place = letter_place(self._topic, partition, offset)
        return "discarded" if place in self._discarded else "redriven" if place in self._redriven else "open"

    def time_of(self, partition: int, offset: int) -> int:
        """When the letter was written, in milliseconds since the epoch; 0 when it is not among those that are kept."""
        letter = self._letters.get((partition, offset))
        return 0 if letter is None else letter.time_ms

    def first_sources(self) -> dict[int, int]:
        """The first offset of each partition of the requests topic at which a letter can have been sent again."""
        first: dict[int, int] = {}
        for letter in self._letters.values():
            if letter.source_partition is not None and letter.source_offset is not None:
                known = first.get(letter.source_partition, letter.source_offset)
                first[letter.source_partition] = min(known, letter.source_offset)
        return first

    def page(self, *, code: str | None, state: str | None, limit: int, before: str | None) -> dict[str, Any]:
        """The answer of `GET /api/dead-letters`, the newest first. Raises `ValueError` for a wrong cursor."""
        bound = _bound(before)
        shown: list[dict[str, Any]] = []
        codes: Counter[str] = Counter()
        more: str | None = None
        for letter in sorted(self._letters.values(), key=_order, reverse=True):
            what = self.state_of(letter.partition, letter.offset)
            if state not in (None, what):
                continue
            codes[letter.code] += 1
            if code not in (None, letter.code) or (bound is not None and _order(letter) >= bound):
                continue
            if len(shown) < limit:
                shown.append(letter.as_json(what))
                last = f"{letter.time_ms}.{letter.partition}.{letter.offset}"
            else:
                more = last
        return {"letters": shown, "next": more, "codes": dict(codes)}


def whole_letter(letter: DeadLetter, timestamp_ms: int, state: State) -> dict[str, Any]:
    """One letter with what it holds, bounded and without secrets: the answer of `GET /api/dead-letters/…`."""
    value = letter.value or b""
    headers = letter.info.original_headers if letter.info else ()
    part = value[:_MOST_BYTES]
    try:
        text: str | None = clean(part.decode("utf-8"))
        shown = text.encode() if text is not None else b""
    except UnicodeDecodeError:
        text, shown = None, KNOWN.masked(part.decode("latin-1")).encode("latin-1")
    return _listed(letter, timestamp_ms).as_json(state) | {
        "key_text": None if letter.key is None else clean(str(readable(letter.key))),
        "headers": [
            [readable_name(name), clean_value(readable_name(name), str(readable(content) or "")[:_HEADER_CHARS])]
            for name, content in headers
        ],
        "value_text": text,
        "value_base64": base64.b64encode(shown).decode(),
        "truncated": len(value) > _MOST_BYTES,
        "redrive_count": letter.info.redrive_count if letter.info else 0,
    }


def _listed(letter: DeadLetter, timestamp_ms: int) -> Letter:
    info = letter.info
    return Letter(
        partition=letter.partition,
        offset=letter.offset,
        time_ms=_time_ms(info.failed_at, timestamp_ms) if info else timestamp_ms,
        code=info.code[:_ID_CHARS] if info else "(unknown)",
        message=info.message[:_MESSAGE_CHARS] if info else "its dlq headers are missing",
        request_id=_request_id(letter.value),
        topic=info.topic[:_NAME_CHARS] if info else None,
        source_partition=info.partition if info else None,
        source_offset=info.offset if info else None,
        bytes=(info.value_size if info and info.value_size is not None else len(letter.value or b"")),
        sendable=info is not None and info.is_whole and info.is_request,
    )


def _request_id(value: bytes | None) -> str | None:
    """The id that the record names, if it can be read at all."""
    try:
        members = orjson.loads(value or b"null")
    except ValueError:
        return None
    found = members.get("request_id") if isinstance(members, dict) else None
    found = clean_members(found)
    return found[:_ID_CHARS] if isinstance(found, str) else None


def _time_ms(text: str, otherwise: int) -> int:
    try:
        return round(parse_rfc3339(text).timestamp() * 1000)
    except ValueError:
        return otherwise


def _remember(known: OrderedDict[str, None], record: InRecord, header: str) -> None:
    for name, value in record.headers:
        if name == header and value is not None and len(value) <= _NAME_CHARS:
            known[value.decode("utf-8", "replace")] = None
            if len(known) > MOST_LETTERS:
                known.popitem(last=False)


def _order(letter: Letter) -> tuple[int, int, int]:
    return letter.time_ms, letter.partition, letter.offset


def _bound(before: str | None) -> tuple[int, int, int] | None:
    if before is None:
        return None
    parts = before.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError("before: it is not the `next` of a page")
    return int(parts[0]), int(parts[1]), int(parts[2])
