"""Two requests of Kafka's protocol over a plain socket: produce (version 8) and fetch (version 10).

For what client libraries neither send nor read. Plaintext only. One thread at a time may use a connection.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_PRODUCE, _PRODUCE_VERSION = 0, 8
_FETCH, _FETCH_VERSION = 1, 10
_SECONDS = 30.0
_CLIENT = b"fuzz"
_READ_COMMITTED = 1
_NONE = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a broker gave of one partition."""

    partition: int
    error: int
    stable_offset: int
    """The last stable offset: what is before it can be read by a committed reader."""
    aborted: tuple[tuple[int, int], ...]
    """Producer id and first offset of each aborted transaction in `data`."""
    data: bytes


class Refused(Exception):
    """The broker did not take a batch."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"refused with error {code}{': ' + message if message else ''}")
        self.code = code


class Connection:
    """A connection to one broker."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), _SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = 0

    def produce(self, topic: str, partition: int, batch: bytes) -> int:
        """Append one batch, durably (acks=all), and return the offset of its first record; raises `Refused`."""
        body = struct.pack(">hhi", -1, -1, int(_SECONDS * 1000)) + _array(1) + _string(topic) + _array(1)
        answer = _Reader(
            self._ask(_PRODUCE, _PRODUCE_VERSION, body + struct.pack(">ii", partition, len(batch)) + batch)
        )
        answer.int32()
        answer.string()
        answer.int32()
        answer.int32()
        error, offset = answer.int16(), answer.int64()
        answer.int64()
        answer.int64()
        details = [(answer.int32(), answer.string()) for _ in range(max(0, answer.int32()))]
        message = answer.string()
        if error != _NONE:
            raise Refused(error, " ".join(filter(None, [message, *(text for _, text in details)])))
        return offset

    def fetch(self, topic: str, offsets: dict[int, int], *, wait_ms: int, max_bytes: int) -> list[Fetched]:
        """Read each partition from its offset, as a committed reader."""
        body = struct.pack(">iiiibii", -1, wait_ms, 1, max_bytes, _READ_COMMITTED, 0, -1)
        body += _array(1) + _string(topic) + _array(len(offsets))
        for partition, offset in offsets.items():
            body += struct.pack(">iiqqi", partition, -1, offset, -1, max_bytes)
        answer = _Reader(self._ask(_FETCH, _FETCH_VERSION, body + _array(0)))
        answer.int32()
        answer.int16()
        answer.int32()
        found: list[Fetched] = []
        for _ in range(answer.int32()):
            answer.string()
            found.extend(self._partition(answer) for _ in range(answer.int32()))
        return found

    @staticmethod
    def _partition(answer: _Reader) -> Fetched:
        partition, error = answer.int32(), answer.int16()
        answer.int64()
        stable = answer.int64()
        answer.int64()
        aborted = tuple((answer.int64(), answer.int64()) for _ in range(max(0, answer.int32())))
        return Fetched(partition, error, stable, aborted, answer.data())

    def _ask(self, api: int, version: int, body: bytes) -> bytes:
        self._number += 1
        message = struct.pack(">hhi", api, version, self._number) + _string(_CLIENT.decode()) + body
        self._socket.sendall(struct.pack(">i", len(message)) + message)
        (length,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(length)[4:]

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._socket.recv(min(count, 1024 * 1024))
            if not part:
                raise ConnectionError("the broker closed the connection")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Reader:
    """Reads the types of Kafka's protocol one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def int16(self) -> int:
        return self._number(">h", 2)

    def int32(self) -> int:
        return self._number(">i", 4)

    def int64(self) -> int:
        return self._number(">q", 8)

    def string(self) -> str:
        """A string; a null one is empty."""
        length = self.int16()
        return "" if length < 0 else self._take(length).decode("utf-8", "replace")

    def data(self) -> bytes:
        length = self.int32()
        return b"" if length < 0 else self._take(length)

    def _number(self, shape: str, size: int) -> int:
        number: int = struct.unpack(shape, self._take(size))[0]
        return number

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _array(count: int) -> bytes:
    return struct.pack(">i", count)
