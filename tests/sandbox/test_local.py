"""The local broker: a real Apache Kafka, started, stopped and killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.sandbox.addresses import HOST, free_ports
from service.sandbox.broker import local
from service.sandbox.broker.broker import Broker
from service.sandbox.broker.jars import class_path
from service.sandbox.broker.local import LocalBroker
from service.sandbox.errors import BrokerError, PortError
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings

pytestmark = pytest.mark.integration

LIMIT_SECONDS = 20
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[LocalBroker]:
    """A broker that the test may end as it likes."""
    async with LocalBroker(data_dir=tmp_path / "kafka") as opened:
        yield opened


async def write(broker: Broker, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, transactional_id="writer")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def read(broker: Broker, topic: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def topics(broker: Broker) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def test_records_and_address_outlive_a_restart_and_a_sigkill(own: LocalBroker) -> None:
    address = own.bootstrap_servers
    await TopicMaker(KafkaSettings(bootstrap_servers=address))("kept")
    await write(own, "kept", b"before the restart")
    await own.restart()
    assert own.bootstrap_servers == address
    await write(own, "kept", b"before the kill")
    own.kill()
    assert repr(own) == f"<LocalBroker {address}, not running>"
    await own.start()
    assert own.bootstrap_servers == address
    await write(own, "kept", b"after the kill")
    assert await read(own, "kept", 3) == [b"before the restart", b"before the kill", b"after the kill"]


async def test_two_brokers_run_at_once_and_share_nothing(own: LocalBroker, broker: Broker) -> None:
    await TopicMaker(KafkaSettings(bootstrap_servers=own.bootstrap_servers))("only-here")
    assert own.bootstrap_servers != broker.bootstrap_servers
    assert "only-here" in await topics(own)
    assert "only-here" not in await topics(broker)


async def test_stop_leaves_no_process_and_no_temporary_data() -> None:
    opened = LocalBroker()
    async with opened:
        folder = opened.data_dir
        assert opened.log_file.stat().st_size > 0
        processes = psutil.Process().children(recursive=True)
        mine = [process for process in processes if str(folder) in " ".join(process.cmdline())]
        assert len(mine) == 2, "guard and JVM"
    assert not any(process.is_running() for process in mine)
    assert not folder.exists()


async def test_a_demanded_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortError, match=f"port {port} on 127.0.0.1 was chosen for the broker and is in use"):
            await LocalBroker(data_dir=tmp_path, port=port).start()


async def test_without_a_free_port_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(local, "free_ports", lambda count: free_ports(count, tried=[taken]))
        with pytest.raises(PortError, match="of 1 tried, 0 were free"):
            await LocalBroker(data_dir=tmp_path / "kafka").start()
    assert not (tmp_path / "kafka").exists()


async def test_a_port_lost_to_somebody_else_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as server:
        lost = server.getsockname()[1]
        answers = iter([(lost, free_ports(1)[0])])
        monkeypatch.setattr(local, "free_ports", lambda count: next(answers, None) or free_ports(count))
        async with LocalBroker(data_dir=tmp_path / "kafka") as opened:
            assert not opened.bootstrap_servers.endswith(f":{lost}")
            assert await topics(opened) is not None


async def test_a_start_that_fails_shows_the_end_of_kafkas_log(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "meta.properties").write_text("version=1\ncluster.id=somebody-elses\nnode.id=77\n")
    with pytest.raises(BrokerError, match=r"ended before it answered\nthe end of .*broker\.log:\n(.|\n)*77"):
        await LocalBroker(data_dir=tmp_path).start()


SCRIPT = """
import asyncio, signal, sys
from pathlib import Path
from service.sandbox.broker.local import LocalBroker

async def main():
    broker = LocalBroker(data_dir=Path(sys.argv[1]))
    await broker.start()
    print(broker.bootstrap_servers, flush=True)

asyncio.run(main())
signal.pause()
"""


async def test_a_machine_without_network_starts_a_broker_and_its_death_ends_it(tmp_path: Path) -> None:
    class_path()  # the cache is warm from here on
    offline = {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "ALL_PROXY": NOWHERE, "NO_PROXY": ""}
    offline |= {name.lower(): value for name, value in offline.items()}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], env={**os.environ, **offline}, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        address = owner.stdout.readline().decode().strip()
        started = psutil.Process(owner.pid).children(recursive=True)
        assert address
        assert {process.name() for process in started} >= {"java"}
        os.kill(owner.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(started, timeout=LIMIT_SECONDS)
        assert alive == []
