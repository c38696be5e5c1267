"""Where partitions end, when some of their leaders can't be asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from service.kafka.other_clients.open_transactions import Ends, ends_of

pytestmark = pytest.mark.unit

_NOT_LEADER = 6


class Brokers:
    """A client of a cluster. Partition n has the leader n, which answers as it is told; partition 0 has none."""

    def __init__(self, answers: dict[int, Any]) -> None:
        self._answers = answers
        self.cluster = SimpleNamespace(leader_for_partition=lambda where: where.partition or None)
        self.updates = 0

    def add_topic(self, topic: str) -> None:
        """Known already."""

    def force_metadata_update(self) -> None:
        self.updates += 1

    async def send(self, node: int, _request: Any) -> Any:
        answer = self._answers[node]
        if answer == "silence":
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        code, offset = answer
        return SimpleNamespace(topics=[("requests", [(node, code, -1, offset)])])


@pytest.mark.parametrize("bad", [None, (_NOT_LEADER, -1), KafkaConnectionError("gone"), "silence"])
async def test_a_partition_that_cant_be_asked_does_not_hide_the_others(bad: Any) -> None:
    brokers = Brokers({1: (0, 5), 2: bad})
    partitions = [0, 1] if bad is None else [1, 2]
    assert await ends_of(brokers, "requests", partitions, limit_seconds=0.05) == {1: Ends(5, 5)}
    assert brokers.updates or not isinstance(bad, tuple)


async def test_when_nobody_answers_there_is_an_error() -> None:
    with pytest.raises(KafkaError):
        await ends_of(Brokers({1: "silence", 2: (_NOT_LEADER, -1)}), "requests", [0, 1, 2], limit_seconds=0.05)


async def test_what_arrives_between_the_two_questions_is_not_taken_for_hidden() -> None:
    class Busy(Brokers):
        """A record arrives with every question."""

        async def send(self, node: int, _request: Any) -> Any:
            self._answers[node] = (0, self._answers[node][1] + 1)
            return await super().send(node, _request)

    [ends] = (await ends_of(Busy({1: (0, 5)}), "requests", [1])).values()

    assert ends.hidden == 0
    assert ends.last == 7
