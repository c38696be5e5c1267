"""Encoding fragments without a model: they are the most frequent records by far."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from contracts.cloudevents import Headers, event_headers, event_type
from contracts.instants import milliseconds

_MILLIS = tuple(f".{ms:03d}Z".encode() for ms in range(1000))


class FragmentEncoder:
    """Encodes the fragments of one attempt, exactly as the `Fragment` model and `encode` would.

    What is the same for all fragments of an attempt is built once. Not safe for use by several attempts.
    """

    __slots__ = ("_after", "_before", "_head", "_id_prefix", "_middle", "_second", "_second_text", "_tail")

    def __init__(
        self,
        request_id: str,
        attempt: int,
        generation_id: str | None,
        source: str,
        id_prefix: str,
        traceparent: str | None = None,
        tracestate: str | None = None,
        run: int = 1,
    ) -> None:
        headers = event_headers(
            event_type=event_type("fragment"),
            event_id="",
            source=source,
            subject=request_id,
            time="",
            traceparent=traceparent,
            tracestate=tracestate,
        )
        names = [name for name, _ in headers]
        id_at, time_at = names.index("ce_id"), names.index("ce_time")
        self._head, self._middle, self._tail = headers[:id_at], headers[id_at + 1 : time_at], headers[time_at + 1 :]
        self._id_prefix = f"{id_prefix}-".encode()
        self._before = b'{"type":"fragment","request_id":%b,"run":%d,"attempt":%d,"time":"' % (
            orjson.dumps(request_id),
            run,
            attempt,
        )
        self._after = b',"generation_id":%b}' % orjson.dumps(generation_id)
        self._second = -1
        self._second_text = b""

    def encode(self, sequence: int, text: str, seconds: float) -> tuple[bytes, Headers]:
        """Value and headers of fragment `sequence`, generated at `seconds` since the epoch."""
        second, ms = divmod(milliseconds(seconds), 1000)
        if second != self._second:
            self._second = second
            self._second_text = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}".encode()
        time = self._second_text + _MILLIS[ms]
        value = b'%b%b","sequence":%d,"text":%b%b' % (
            self._before,
            time,
            sequence,
            orjson.dumps(text),
            self._after,
        )
        return value, (
            *self._head,
            ("ce_id", b"%b%d" % (self._id_prefix, sequence)),
            *self._middle,
            ("ce_time", time),
            *self._tail,
        )
