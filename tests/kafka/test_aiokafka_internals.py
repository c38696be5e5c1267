"""What we lean on inside aiokafka 0.14. A failure here means: look at the named file before upgrading."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.producer.sender import Sender, SendProduceReqHandler
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.record.memory_records import MemoryRecords

from service.kafka.connecting.broker_connection import BrokerConnection
from service.kafka.connecting.connection import producer_options
from service.kafka.connecting.reconnection import Reconnection
from service.settings import KafkaSettings


def test_the_version_is_the_one_the_rules_were_measured_on() -> None:
    assert version("aiokafka").startswith("0.14.")


def test_every_proof_of_membership_passes_through_the_coordinators_send_req() -> None:
    """lease.py wraps `GroupCoordinator._send_req` on the instance."""
    for method in (
        GroupCoordinator._do_heartbeat,
        CoordinatorGroupRebalance.perform_group_join,
        CoordinatorGroupRebalance._send_sync_group_request,
    ):
        assert "._send_req(request)" in inspect.getsource(method)


def test_nobody_but_us_tells_the_assignor_its_generation() -> None:
    """group.py does, from the coordinator, whose generation is set before its assignment is told."""
    source = inspect.getsource(CoordinatorGroupRebalance) + inspect.getsource(GroupCoordinator)
    assert "on_generation_assignment" not in source
    joined = inspect.getsource(GroupCoordinator._do_rejoin_group)
    assert joined.index("rebalance.perform_group_join()") < joined.index("_on_join_complete(")
    assert "self._coordinator.generation = " in inspect.getsource(CoordinatorGroupRebalance)


def test_the_sender_asks_its_accumulator_for_batches_by_the_name_we_replace() -> None:
    """send_channel.py replaces `drain_by_nodes` on the instance, for the lease and the pause between requests."""
    source = inspect.getsource(Sender._sender_routine)
    assert "self._message_accumulator.drain_by_nodes(" in source


def test_a_batch_counts_as_drained_the_moment_it_is_taken() -> None:
    """send_channel.py appends to a batch only while `retry_count` is 0, and takes its sequence for settled then."""
    source = inspect.getsource(MessageAccumulator._pop_batch)
    assert source.index("increment_sequence_number") < source.index("batch.drain_ready()")
    assert "self._retry_count += 1" in inspect.getsource(MessageBatch.drain_ready)


def test_a_repeated_batch_keeps_its_sequence_numbers() -> None:
    assert "not_retry = batch.retry_count == 0" in inspect.getsource(MessageAccumulator._pop_batch)
    assert "accumulator.reenqueue(batch)" in inspect.getsource(SendProduceReqHandler.do)


def test_an_idempotent_batch_never_expires_by_itself() -> None:
    """sender.py therefore looks for late ones."""
    assert "self._sender._txn_manager is None and batch.expired()" in inspect.getsource(
        SendProduceReqHandler._can_retry
    )


def test_nothing_else_is_told_of_a_dead_transaction_but_its_waiters() -> None:
    """producer.py marks these as seen when it lets go of a producer."""
    source = inspect.getsource(TransactionManager.fatal_error)
    assert "_pending_txn_offsets" in source
    assert "_transaction_waiter" in source


def test_a_fetcher_asks_for_fetches_by_the_names_we_replace() -> None:
    """fetching.py replaces `_proc_fetch_request` and `_client` on the instance."""
    assert "self._proc_fetch_request(assignment, node_id, request)" in inspect.getsource(
        Fetcher._fetch_requests_routine
    )
    source = inspect.getsource(Fetcher._proc_fetch_request)
    assert "await self._client.send(node_id, request)" in source
    assert "MemoryRecords(part_data[-1])" in source  # without bytes it has no records, and no error either
    assert "elif records.size_in_bytes() > 0" in source
    assert (MemoryRecords(b"").has_next(), MemoryRecords(b"").size_in_bytes()) == (False, 0)


def test_fetched_records_are_read_through_an_iterator_that_knows_its_next_offset() -> None:
    """fetching.py gives `FetchResult` an iterator of its own."""
    source = inspect.getsource(FetchResult)
    assert set(re.findall(r"self\._partition_records\b(\.\w+)?", source)) == {"", ".next_fetch_offset"}


def test_a_batch_that_was_built_elsewhere_is_sent_as_it_is() -> None:
    """raw_batch.py subclasses `BatchBuilder`; this is what a producer calls of it."""
    source = inspect.getsource(MessageBatch) + inspect.getsource(MessageAccumulator)
    used = set(re.findall(r"_builder\.(\w+)\(", source)) - {"create_builder"}
    assert used <= {"append", "record_count", "closed", "close", "_build", "_set_producer_state"}


@pytest.fixture
async def producer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**producer_options(kafka))
    await producer.start()
    yield producer
    await producer.stop()


@pytest.mark.integration
async def test_the_attributes_that_are_used_exist(producer: Any) -> None:
    accumulator = producer._message_accumulator
    for name in ("_batches", "_pending_batches", "_linger_time", "_exception", "drain_by_nodes"):
        assert hasattr(accumulator, name), name
    assert accumulator is producer._sender._message_accumulator
    assert producer._closed is False
    for name in ("set_topics", "add_topic", "close"):
        assert callable(getattr(producer.client, name)), name


@pytest.mark.integration
async def test_further_batches_of_one_partition_queue_behind_the_first(
    producer: Any, make_topics: Any, prefix: str
) -> None:
    await make_topics(prefix)
    await producer.partitions_for(prefix)
    accumulator = producer._message_accumulator
    partition = TopicPartition(prefix, 0)
    batches = [accumulator._append_batch(accumulator.create_builder(), partition) for _ in range(3)]
    for batch in batches:
        assert batch._builder.append(timestamp=None, key=b"k", value=b"v", headers=[]) is not None
    assert [(await batch.future).offset for batch in batches] == [0, 1, 2]


def test_a_client_connects_and_asks_for_metadata_by_the_names_that_reconnection_replaces() -> None:
    """reconnection.py replaces four methods on the instance, and opens connections with the client's own options."""
    source = inspect.getsource(AIOKafkaClient)
    assert "await self._metadata_update(self.cluster, topics)" in source
    assert source.count("await self._get_conn(") == 2
    assert source.count("create_conn(") == 2, "in the two methods that are replaced, and nowhere else"
    ours = inspect.signature(BrokerConnection).parameters
    options = set(re.findall(r"(\w+)=self\._\w+", inspect.getsource(AIOKafkaClient._get_conn)))
    kerberos = {"sasl_kerberos_service_name", "sasl_kerberos_domain_name"}
    assert options - kerberos <= ours.keys()
    assert all(f"{name}=client._" in inspect.getsource(Reconnection._connect) for name in options - kerberos)
    for owner in (AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient):
        assert "client.bootstrap()" in inspect.getsource(owner.start)


def test_a_connection_is_closed_and_logged_in_by_the_names_that_ours_replaces() -> None:
    """broker_connection.py adds to `send`, `close` and `authenticator_oauth`."""
    source = inspect.getsource(AIOKafkaConnection)
    assert "resp = await self.send(SaslAuthenticateRequest(payload))" in source
    assert "authenticator = self.authenticator_oauth()" in source
    assert "self._writer.close()" in inspect.getsource(AIOKafkaConnection.close)
    assert "if self._token_sent:" in inspect.getsource(OAuthAuthenticator.step)


def test_an_error_of_a_transaction_is_set_on_a_waiter_that_another_one_replaces() -> None:
    """producer.py marks it as seen when the transaction begins."""
    assert "self._transaction_waiter.set_exception(exc)" in inspect.getsource(TransactionManager.error_transaction)
    assert "self._transaction_waiter = create_future()" in inspect.getsource(TransactionManager.aborting_transaction)


def test_results_are_read_by_the_methods_that_we_replace() -> None:
    """turn.py stands in for `getall` on each result, by way of `getone`; fetching.py for `fetched_records`."""
    source = inspect.getsource(Fetcher.fetched_records)
    assert "type(res_or_error) is FetchResult" in source
    assert "res_or_error.getall(max_records)" in source
    assert "if not res_or_error.has_more():" in source
    assert "self._fetcher.fetched_records(" in inspect.getsource(AIOKafkaConsumer.getmany)
    one, every = inspect.getsource(FetchResult.getone), inspect.getsource(FetchResult.getall)
    for line in ("self._update_position()", "self._partition_records = None", "self.check_assignment(tp)"):
        assert line in one
        assert line in every
