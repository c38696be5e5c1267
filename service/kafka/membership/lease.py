"""The lease: whether the group still counts this process as alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from service.clock import Clock

_PROOFS = (HeartbeatRequest, JoinGroupRequest, SyncGroupRequest)


class GroupLease:
    """`Lease` from the heartbeats of the group's consumer.

    The lease lasts for the session timeout from the moment a heartbeat was sent, not from its answer: a process that
    was frozen between the two must not take an old answer for a fresh one. The clock must run on while the machine
    sleeps; the event loop's clock does not. A rebalance that takes longer than the session timeout ends the lease,
    because other members may already know its outcome.

    `attach` hooks into the coordinator of aiokafka 0.14, in this one place; call it after `consumer.start()`.
    """

    def __init__(self, *, session_timeout_ms: int, clock: Clock, confirmed: Callable[[], bool] = lambda: True) -> None:
        """`confirmed` says whether every partition with jobs here is ours by the latest assignment. Must be cheap."""
        self._timeout = session_timeout_ms / 1000
        self._now = clock.monotonic
        self._last = float("-inf")
        self._lapsed = True
        self._confirmed = confirmed

    def __repr__(self) -> str:
        return f"<GroupLease, {'alive' if self.alive() else 'lost'}, last proof {self._now() - self._last:.1f} s ago>"

    def alive(self) -> bool:
        return self._now() - self._last < self._timeout

    def may_pay(self) -> bool:
        """Alive, and no partition is in doubt.

        A process that was frozen is alive again as soon as it has joined again, which is before it knows what it has
        lost: its old jobs must not pay in between.
        """
        return self.alive() and self._confirmed()

    def may_send(self, partition: int) -> bool:
        """`SendRight`: alive, and since the lease was last over every partition with jobs here is known to be ours.

        A rebalance alone changes nothing: what runs is sent until the group has decided.
        """
        if not self.alive():
            self._lapsed = True
        elif self._lapsed and self._confirmed():
            self._lapsed = False
        return not self._lapsed

    def renewed(self, sent_at: float) -> None:
        """The group has answered a request that was sent at `sent_at` and knows us."""
        if sent_at - self._last >= self._timeout:
            self._lapsed = True  # also when nobody asked meanwhile
        self._last = max(self._last, sent_at)

    def attach(self, consumer: AIOKafkaConsumer) -> None:
        """Watch what the consumer's coordinator exchanges with the group."""
        coordinator = consumer._coordinator  # noqa: SLF001 - nothing public sees heartbeats
        send = coordinator._send_req  # noqa: SLF001 - as above

        async def watched(request: Any) -> Any:
            sent_at = self._now()
            response = await send(request)
            if isinstance(request, _PROOFS) and response.error_code in (0, _REBALANCING):
                self.renewed(sent_at)
            return response

        coordinator._send_req = watched  # noqa: SLF001 - as above


_REBALANCING = 27
"""The answer to a heartbeat while the group rebalances: we are a member, and to join again."""
