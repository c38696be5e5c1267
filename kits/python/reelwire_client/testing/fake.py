"""Reelwire in memory: what a `Client` submits is answered by plays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reelwire_client.events import TOPICS
from reelwire_client.ports import Batch, RecordReader, RequestSender
from reelwire_client.records import Header, Place, Record
from reelwire_client.testing.play import Play

Script = Callable[[Play], object]
"""Adds to the play of a request what shall happen; without an end the request stays open."""


@dataclass(frozen=True)
class SentRequest:
    """A record of the requests topic."""

    place: Place
    key: bytes
    body: Mapping[str, Any]


def answer(play: Play) -> None:
    """The script of requests that have none of their own: accepted, two fragments, completed."""
    play.accepted().progress("stream_started").text("Analysis of ", f"{play.request_id}.").completed()


class FakeReelwire:
    """`Client(fake.reader(), fake.sender())` works against it as against the service.

    A known id starts nothing: `duplicate`, and the completion once more. `cancel` ends what is open. What is no request
    becomes a dead letter. Nothing happens by itself: each record is there when the call that makes it returns.
    """

    def __init__(self, *, partitions: int = 2, default: Script = answer) -> None:
        self.sent: list[SentRequest] = []
        """Every record that was sent, in order."""
        self._partitions, self._default = partitions, default
        self._scripts: dict[str, Script] = {}
        self._plays: dict[tuple[int, str], Play] = {}
        self._published: dict[tuple[int, str], int] = {}
        self._readers: list[_Reader] = []
        self._offsets = [0] * partitions

    def on(self, request_id: str, script: Script) -> None:
        """What shall happen when this request comes."""
        self._scripts[request_id] = script

    def more(self, request_id: str, script: Script) -> None:
        """What happens now to a request that has come."""
        play = next((play for (_, name), play in self._plays.items() if name == request_id), None)
        if play is None:
            raise ValueError(f"no request {request_id} has come")
        script(play)
        self._publish(play)

    def publish(self, records: Sequence[Record]) -> None:
        """Records as they are, such as those of a `Play` that nobody asked for."""
        for reader in self._readers:
            reader.put(list(records))

    def reader(self) -> RecordReader:
        """For a `Client`; it gets what happens from its start on."""
        return _Reader(self._readers)

    def sender(self) -> RequestSender:
        """For a `Client`."""
        return _Sender(self)

    def stop_reading(self, error: Exception) -> None:
        """Every reader fails with this error, as when the brokers refuse it."""
        for reader in self._readers:
            reader.put(error)

    def take(self, partition: int, key: bytes, value: bytes) -> Place:
        """A record of the requests topic comes. Called by the sender."""
        place = Place(TOPICS["requests"], partition, self._offsets[partition])
        self._offsets[partition] += 1
        body = _object(value)
        self.sent.append(SentRequest(place, key, body))
        name = body.get("request_id")
        if not isinstance(name, str):
            self.publish(_of(place, "", key).refused("invalid", "request_id is missing", value).records())
        elif body.get("type") == "cancel":
            self._cancel(place, name, key)
        else:
            self._begin(place, name, key, body)
        return place

    @property
    def partitions(self) -> int:
        """Of each topic."""
        return self._partitions

    def _begin(self, place: Place, name: str, key: bytes, body: Mapping[str, Any]) -> None:
        known, run = self._plays.get((place.partition, name)), body.get("run") or 1
        if known is not None and not (known.ended and run > known.run):
            known.progress("duplicate")
            if known.ended:
                known.repeated()
            self._publish(known)
            return
        play = _of(place, name, key, run=run, metadata=body.get("metadata"), tenant=body.get("tenant"))
        self._plays[place.partition, name] = play
        self._published[place.partition, name] = 0
        self._scripts.get(name, self._default)(play)
        self._publish(play)

    def _cancel(self, place: Place, name: str, key: bytes) -> None:
        play = self._plays.get((place.partition, name))
        if play is None:
            self.publish(_of(place, name, key).progress("cancel_ignored", reason="unknown").records())
            return
        if play.ended:
            play.progress("cancel_ignored", reason="finished")
        else:
            play.canceled()
        self._publish(play)

    def _publish(self, play: Play) -> None:
        place = play.partition, play.request_id
        records = play.records()
        self.publish(records[self._published[place] :])
        self._published[place] = len(records)


class _Reader:
    def __init__(self, started: list[_Reader]) -> None:
        self._started = started
        self._queue: asyncio.Queue[list[Record] | Exception] = asyncio.Queue()

    def put(self, what: list[Record] | Exception) -> None:
        self._queue.put_nowait(what)

    async def start(self) -> None:
        self._started.append(self)

    async def read(self) -> Batch:
        found = await self._queue.get()
        if isinstance(found, Exception):
            raise found
        return Batch(found)

    async def stop(self) -> None:
        if self in self._started:
            self._started.remove(self)


class _Sender:
    def __init__(self, fake: FakeReelwire) -> None:
        self._fake = fake

    async def start(self) -> None:
        pass

    async def partitions(self) -> int:
        return self._fake.partitions

    async def send(self, partition: int, key: bytes, value: bytes, headers: Sequence[Header]) -> Place:
        return self._fake.take(partition, key, value)

    async def stop(self) -> None:
        pass


def _of(place: Place, name: str, key: bytes, **members: Any) -> Play:
    return Play(name, partition=place.partition, offset=place.offset, key=key, **members)


def _object(value: bytes) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
