"""Webhooks: every registered address is told of every task that ends, signed, and told again until it answers 2xx.

The real ones are registered in a dashboard. Tasks have no timers, so while an address is registered the open tasks are
looked through.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import aiohttp
import orjson

from service.clock import Clock, rfc3339
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.bounds import LONGEST_SECONDS, number
from service.emulator.model.background import Background
from service.emulator.model.tasks import Task, WebhookDelivery
from service.emulator.refusals import invalid

_TICK_SECONDS = 0.02
_ENDED = frozenset({"ready", "failed", "canceled"})
_MOST_ADDRESSES = 20


@dataclass(slots=True)
class WebhookAddress:
    """An address, and how badly it is served."""

    url: str
    secret: str
    late_seconds: float = 0.0
    """Fault: the first attempt comes so much later."""
    lost: bool = False
    """Fault: nothing is sent, and it is said to be delivered."""
    twice: bool = False
    """Fault: each attempt is sent twice, with the same signature."""
    forged: bool = False
    """Fault: signed with another secret."""
    number: int = 0
    handled: set[str] = field(default_factory=set)
    """Ids of the tasks that are no longer waited for."""

    def as_json(self) -> dict[str, Any]:
        """As the admin endpoint shows it."""
        shown = asdict(self)
        del shown["handled"], shown["secret"]
        return {"id": shown.pop("number"), **shown}


class Webhooks:
    """The addresses of an emulator and what is sent to them."""

    def __init__(self, clock: Clock, background: Background, retry_seconds: tuple[float, ...], timeout: float) -> None:
        self._clock = clock
        self._background = background
        self._retry_seconds = retry_seconds
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._addresses: dict[int, WebhookAddress] = {}
        self._count = 0
        self._watching = False
        self._session: aiohttp.ClientSession | None = None

    def addresses(self) -> list[WebhookAddress]:
        """Those that are registered, oldest first."""
        return list(self._addresses.values())

    def register(self, given: dict[str, Any], tasks: Iterable[Task]) -> WebhookAddress:
        """Add an address; it is told of tasks that end from now on. Raises `Refusal`, or `ValueError` for a number."""
        names = {"url", "secret", "late_seconds", "lost", "twice", "forged"}
        if wrong := given.keys() - names:
            raise invalid(f"A webhook has no member {', '.join(sorted(wrong))}; it has {', '.join(sorted(names))}.")
        url, secret = given.get("url"), given.get("secret")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise invalid("The url parameter must be an address that begins with http:// or https://.")
        if not isinstance(secret, str) or not secret:
            raise invalid("The secret parameter must be a text that is not empty.")
        flags = {name: given.get(name, False) for name in ("lost", "twice", "forged")}
        if not all(isinstance(value, bool) for value in flags.values()):
            raise invalid("The lost, twice and forged parameters must be true or false.")
        if len(self._addresses) >= _MOST_ADDRESSES:
            raise invalid(f"At most {_MOST_ADDRESSES} webhooks can be registered.")
        self._count += 1
        now = self._clock.time()
        address = WebhookAddress(url, secret, number("late_seconds", given.get("late_seconds", 0), 0, LONGEST_SECONDS))
        address = replace(address, **flags, number=self._count)
        address.handled = {task.id for task in tasks if task.status(now) in _ENDED}
        self._addresses[address.number] = address
        return address

    def remove(self, number: int | None = None) -> int:
        """Remove one address, or all; returns how many. What is under way for it goes on."""
        gone = [one for one in self._addresses if number is None or one == number]
        for one in gone:
            del self._addresses[one]
        return len(gone)

    def watch(self, tasks: Iterable[Task]) -> None:
        """Begin to look through `tasks`, which is read anew each time."""
        if not self._watching:
            self._watching = True
            self._background.spawn(self._watch(tasks), lambda: None)

    async def close(self) -> None:
        """Close the connections. Called after the background work has ended."""
        if self._session is not None:
            await self._session.close()

    async def _watch(self, tasks: Iterable[Task]) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if not self._addresses:
                continue
            now = self._clock.time()
            for task in [task for task in tasks if task.batch_id is None]:
                for address in self._addresses.values():
                    if task.id not in address.handled and task.status(now) in _ENDED:
                        address.handled.add(task.id)
                        self._background.spawn(self._deliver(address, task), lambda: None)

    @behaves(
        "webhooks.signed",
        "The end of a task is told with `TL-Signature`, an HMAC over time and raw body; the id of the event "
        "stays the same.",
        KnownFrom.DOCUMENTED,
        test="http/test_webhooks.py::test_the_end_of_a_task_is_told_with_a_signature_over_the_raw_body",
        on=("task_get",),
        item=9,
    )
    @behaves(
        "webhooks.retries",
        "Attempts come at 0, 5, 30, 120 and 600 s and are shown in the task.",
        KnownFrom.INFERRED,
        test="http/test_webhooks.py::test_what_is_never_taken_is_given_up_and_shown",
        on=("task_get",),
        item=9,
    )
    async def _deliver(self, address: WebhookAddress, task: Task) -> None:
        now = self._clock.time()
        shown = WebhookDelivery(address.url)
        task.webhooks.append(shown)
        body = orjson.dumps(
            {
                "id": f"whe_{secrets.token_hex(16)}",
                "created_at": rfc3339(now),
                "type": f"analyze.task.{task.status(now)}",
                "data": task.as_event(now),
            }
        )
        if address.lost:
            shown.delivered, shown.attempts = True, 1
            return
        await asyncio.sleep(address.late_seconds)
        for attempt, wait in enumerate((0.0, *self._retry_seconds), start=1):
            await asyncio.sleep(wait)
            shown.attempts = attempt
            shown.last_error = await self._send(address, body)
            if shown.last_error is None:
                shown.delivered = True
                return

    async def _send(self, address: WebhookAddress, body: bytes) -> str | None:
        """One attempt; why it failed, or None."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        moment = str(int(self._clock.time()))
        secret = address.secret + "-forged" if address.forged else address.secret
        digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"TL-Signature": f"t={moment},v1={digest}", "content-type": "application/json"}
        error: str | None = None
        for copy in range(1 + address.twice):
            try:
                async with self._session.post(address.url, data=body, headers=headers, allow_redirects=False) as answer:
                    if copy == 0 and not 200 <= answer.status < 300:
                        error = f"HTTP {answer.status}"
            except TimeoutError:
                error = "no answer in time"
            except aiohttp.ClientError:
                error = "no connection"
        return error
