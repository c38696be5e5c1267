"""Records as the service writes them, put onto the topics directly: a request's life at the test's own pace."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from contracts.cloudevents import encode
from contracts.events import Accepted, AssetReady, Completed, Event, Failed, Fragment, Timings, Usage, Waiting
from contracts.instants import rfc3339
from contracts.topics import Role
from service.domain.job import Job, Mode, Phase, encode_job
from service.settings import Settings
from tests.harness.request_producer import RequestProducer

__all__ = ["Accepted", "AssetReady", "Completed", "Failed", "Fragment", "Timings", "Usage", "Waiting", "Wire", "job_of"]


def job_of(request_id: str, partition: int = 0, offset: int = 0, **changes: Any) -> Job:
    """A live job as the jobs topic holds it."""
    body: Mapping[str, Any] = {
        "request_id": request_id,
        "prompt": "what happens?",
        "video": {"type": "url", "url": "https://media.example.com/a.mp4?Signature=abcdefgh12345678"},
        "tenant": changes.pop("tenant", None),
        "priority": "high",
        **changes.pop("request", {}),
    }
    now = round(time.time() * 1000)
    members = {"received_ms": now, "accepted_ms": now, "phase": Phase.STREAMING, "attempt": 1, "mode": Mode.STREAM}
    return Job(
        request_id, partition, offset, b"cam7", f"digest of {request_id}", orjson.dumps(body), **{**members, **changes}
    )


class Wire:
    """Writes to one partition of the topics of `settings`."""

    def __init__(self, settings: Settings, partition: int = 0) -> None:
        self._topics = settings.topics
        self._partition = partition
        self._producer = RequestProducer(settings)
        self._numbers = itertools.count(1)

    async def job(self, request_id: str, **changes: Any) -> None:
        value = encode_job(job_of(request_id, self._partition, **changes))
        await self._producer.send(value, key=request_id, partition=self._partition, topic=self._topics.jobs)

    async def gone(self, request_id: str) -> None:
        await self._producer.send(None, key=request_id, partition=self._partition, topic=self._topics.jobs)

    async def fragments(self, request_id: str, *texts: str, attempt: int = 1, first: int = 0) -> None:
        for sequence, text in enumerate(texts, first):
            await self.publish(
                Role.FRAGMENTS,
                Fragment(request_id=request_id, attempt=attempt, time=_now(), sequence=sequence, text=text),
            )

    async def progress(self, kind: type[Any], request_id: str, attempt: int = 1, **members: Any) -> None:
        await self.publish(Role.PROGRESS, kind(request_id=request_id, attempt=attempt, time=_now(), **members))

    async def completed(self, request_id: str, text: str, attempt: int = 1, **members: Any) -> None:
        event = Completed(
            request_id=request_id,
            attempt=attempt,
            time=_now(),
            mode="stream",
            text=text,
            usage=Usage(billed_minutes=2.0, estimated_cost=1.0, currency="EUR"),
            timings=Timings(),
            **members,
        )
        await self.publish(Role.COMPLETIONS, event)

    async def publish(self, role: Role, event: Event) -> None:
        value, headers = encode(event, source="/reelwire/test", event_id=f"test-{next(self._numbers)}")
        await self.raw(role, value, headers)

    async def raw(self, role: Role, value: bytes, headers: Iterable[tuple[str, bytes | None]] = ()) -> None:
        topic = getattr(self._topics, role.value)
        await self._producer.send(value, key=b"cam7", headers=headers, partition=self._partition, topic=topic)


def _now() -> str:
    return rfc3339(time.time())
