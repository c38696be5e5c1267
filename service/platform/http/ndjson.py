"""The lines of a generation stream, as events. No I/O: bytes in, events out.

Lines end at byte 0x0A only. U+2028 and similar characters may be raw inside a JSON string, and other line splitters
cut there. A text line takes the hottest path of the service: one slice, one decode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from contracts.events import PlatformAnswer
from service.platform.errors import StreamBroken
from service.platform.reading import AnswerReader, decoded, repaired
from service.platform.values import StreamEnded, StreamEvent, StreamStarted, StreamText

_loads = orjson.loads


class EventReader:
    """Reads one stream. After `ended` it takes no more; any `StreamBroken` it raises is final."""

    __slots__ = (
        "_carry",
        "_max_line_bytes",
        "_odd_text",
        "_on_unknown",
        "_reader",
        "_tail",
        "_tail_bytes",
        "ended",
        "started",
    )

    def __init__(self, max_line_bytes: int, reader: AnswerReader, on_unknown: Callable[[], None]) -> None:
        self.started = False
        self.ended = False
        self._max_line_bytes = max_line_bytes
        self._reader = reader
        self._on_unknown = on_unknown
        self._tail: list[bytes] = []  # parts of a line whose end has not come; joined once, however many they are
        self._tail_bytes = 0
        self._odd_text = False  # texts may hold halves of characters
        self._carry = ""  # half of a surrogate pair that a text was cut in

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events whose lines end in `data`, texts that follow one another joined. Often empty."""
        if not self._tail and data.find(b"\n") == len(data) - 1 <= self._max_line_bytes:
            return self._events([data])  # one whole line: the usual read of a slow stream
        cut = data.rfind(b"\n")
        if cut < 0:
            self._keep(data)
            return []
        head = data[:cut]
        if self._tail:
            self._tail.append(head)
            head = b"".join(self._tail)
            self._tail.clear()
            self._tail_bytes = 0
        if cut + 1 < len(data):
            self._keep(data[cut + 1 :])
        lines = head.split(b"\n")
        if len(head) > self._max_line_bytes:
            for number, line in enumerate(lines):
                if len(line) > self._max_line_bytes:
                    self._events(lines[:number])  # they may say that it started, or how it broke
                    raise self._broken("line_too_long")
        return self._events(lines)

    def finish(self) -> list[StreamEvent]:
        """The stream is at its end: the events of a last line without a line break. Raises without a `stream_end`."""
        events = self._events([b"".join(self._tail)]) if self._tail else []
        self._tail.clear()
        if not self.ended:
            raise self._broken("no_end")
        return events

    def _keep(self, data: bytes) -> None:
        self._tail.append(data)
        self._tail_bytes += len(data)
        if self._tail_bytes > self._max_line_bytes:
            raise self._broken("line_too_long")

    def _events(self, lines: list[bytes]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        texts: list[str] = []
        try:
            for line in lines:
                try:
                    event = _loads(line)
                    if event["event_type"] == "text_generation":
                        texts.append(event["text"])
                        continue
                    found = self._other(event)
                except (orjson.JSONDecodeError, KeyError, TypeError):
                    found = self._odd(line)
                if isinstance(found, str):
                    texts.append(found)
                elif found is not None:
                    self._flush(texts, events)
                    events.append(found)
                    if self.ended:
                        break
            self._flush(texts, events)
        except StreamBroken as broken:
            broken.started = self.started or bool(events or texts)
            raise
        if events:
            self.started = True
        return events

    def _flush(self, texts: list[str], events: list[StreamEvent]) -> None:
        """Make one event of the texts gathered so far."""
        if not texts:
            return
        try:
            joined = "".join(texts)
        except TypeError:  # a text that is no string
            raise self._broken("unreadable") from None
        texts.clear()
        if self._odd_text:
            joined = self._whole(joined)
        if joined:
            events.append(StreamText(joined))

    def _odd(self, line: bytes) -> StreamEvent | str | None:
        """A line off the fast path: blank, without a type, or with half characters. Others raise `StreamBroken`."""
        if not line.strip():
            return None
        try:
            event = decoded(line)  # takes half characters, which `orjson` does not
        except ValueError:
            raise self._broken("unreadable") from None
        if not isinstance(event, dict):
            raise self._broken("unreadable")
        self._odd_text = True
        return self._other(event)

    def _other(self, event: dict[str, Any]) -> StreamEvent | str | None:
        kind = event.get("event_type")
        if kind == "text_generation":
            found = event.get("text")
            if not isinstance(found, str):
                raise self._broken("unreadable")
            return found
        reader = self._reader
        metadata = event.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        if kind == "stream_start":
            return StreamStarted(reader.short_text(metadata.get("generation_id"), "generation_id"))
        if kind == "stream_end":
            self.ended = True
            output_tokens, input_tokens = reader.usage(metadata)
            warning_code, warning_message = reader.warning(event)
            return StreamEnded(
                finish_reason=reader.short_text(event.get("finish_reason"), "finish_reason"),
                generation_id=reader.short_text(metadata.get("generation_id"), "generation_id"),
                output_tokens=output_tokens,
                input_tokens=input_tokens,
                warning_code=warning_code,
                warning_message=warning_message,
            )
        if kind is None and ("error" in event or "code" in event):
            code, message = reader.error(event)
            raise self._broken("error", PlatformAnswer(status=200, code=code, message=message))
        self._on_unknown()
        return None

    def _whole(self, joined: str) -> str:
        """`joined` without lone surrogates. A pair cut in two is joined; a first half at the end is kept for later."""
        joined = self._carry + joined
        self._carry = ""
        if joined and "\ud800" <= joined[-1] <= "\udbff":
            self._carry = joined[-1]
            joined = joined[:-1]
        return repaired(joined)

    def _broken(self, reason: Any, answer: PlatformAnswer | None = None) -> StreamBroken:
        words = (
            None if answer is None or answer.message is None else f"the platform broke the stream off: {answer.message}"
        )
        return StreamBroken(words, reason=reason, started=self.started, answer=answer)
