"""The lease: whether the group still takes this process for alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from service.clock import Clock

_PROOFS = (HeartbeatRequest, JoinGroupRequest, SyncGroupRequest)


class GroupLease:
    """`Lease` from the heartbeats of a group's consumer.

    The broker counts from the moment it has a heartbeat, so the lease counts from the moment it was sent: a process
    that is frozen between the two must not take an old answer for a fresh one. The clock runs on while the machine
    sleeps, which the loop's clock does not. A rebalance that keeps us waiting longer than the session timeout
    counts as the end of the lease, since its outcome may already be known to others.

    `attach` hooks into the coordinator of aiokafka 0.14, in this one place; call it after `consumer.start()`.
    """

    def __init__(self, *, session_timeout_ms: int, clock: Clock) -> None:
        self._timeout = session_timeout_ms / 1000
        self._now = clock.monotonic
        self._last = float("-inf")
        self.confirmed: Callable[[], bool] = lambda: True
        """Whether what has jobs here is ours by the group's last word; set by ownership."""

    def __repr__(self) -> str:
        return f"<GroupLease, {'alive' if self.alive() else 'lost'}, last proof {self._now() - self._last:.1f} s ago>"

    def alive(self) -> bool:
        return self._now() - self._last < self._timeout

    def may_pay(self) -> bool:
        """Alive, and no partition is in doubt.

        A process that was frozen is alive again as soon as it has joined again, which is before it knows what it has
        lost: its old jobs must not pay in between.
        """
        return self.alive() and self.confirmed()

    def renewed(self, sent_at: float) -> None:
        """The group has answered a request that was sent at `sent_at` and knows us."""
        self._last = max(self._last, sent_at)

    def attach(self, consumer: AIOKafkaConsumer) -> None:
        """Watch what the consumer's coordinator exchanges with the group."""
        coordinator = consumer._coordinator  # noqa: SLF001
        send = coordinator._send_req  # noqa: SLF001

        async def watched(request: Any) -> Any:
            sent_at = self._now()
            response = await send(request)
            if isinstance(request, _PROOFS) and response.error_code in (0, _REBALANCING):
                self.renewed(sent_at)
            return response

        coordinator._send_req = watched  # noqa: SLF001


_REBALANCING = 27
"""The answer to a heartbeat while the group rebalances: we are a member, and to join again."""
