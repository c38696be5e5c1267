"""A start that can't succeed says why, in a line, and ends with the documented code."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from service.sandbox.broker.broker import Broker
from service.sandbox.system import own_names
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings

pytestmark = pytest.mark.acceptance

KEY = {"REELWIRE_PLATFORM__API_KEY": "tlk_test"}


async def _run(broker: Broker, environment: dict[str, str]) -> tuple[int, list[str]]:
    """`reelwire run` until it gives up: exit code and the lines on stderr that are no log."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REELWIRE_", "TWELVELABS_"))}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "reelwire"),
        "run",
        env=kept
        | {"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers, "REELWIRE_HTTP__PORT": "0"}
        | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert "Traceback" not in (out + err).decode()
    return process.returncode or 0, [line for line in err.decode().splitlines() if not line.startswith("{")]


async def test_wrong_settings_are_all_named(broker: Broker) -> None:
    wrong = {"REELWIRE_KAFKA__SESSION_TIMEOUT_MS": "soon", "REELWIRE_JOBS__ORDERING": "random"}
    code, lines = await _run(broker, KEY | wrong)

    assert code == 2
    assert all(any(name in line for line in lines) for name in wrong)


async def test_a_misspelt_setting_is_no_silent_default(broker: Broker) -> None:
    code, lines = await _run(broker, KEY | {"REELWIRE_JOBS__MAX_STREAM": "7"})

    assert code == 2
    assert any("REELWIRE_JOBS__MAX_STREAM" in line for line in lines)


async def test_a_missing_key_is_asked_for(broker: Broker, prefix: str) -> None:
    code, lines = await _run(broker, own_names(prefix))

    assert code == 2
    assert len(lines) == 1
    assert "REELWIRE_PLATFORM__API_KEY" in lines[0]


async def test_missing_topics_are_named_with_what_to_do(broker: Broker, prefix: str) -> None:
    code, lines = await _run(broker, KEY | own_names(prefix))

    assert code == 1
    assert any(f"{prefix}.requests" in line for line in lines)
    assert any("reelwire topics create" in line for line in lines)


async def test_partition_counts_that_disagree_are_named(
    broker: Broker, prefix: str, make_topics: TopicMaker, kafka: KafkaSettings
) -> None:
    names = own_names(prefix)
    topics = {name: value for name, value in names.items() if value.startswith(prefix) and "GROUP" not in name}
    others = [topic for topic in topics.values() if topic != f"{prefix}.completions"]
    await make_topics(*others, partitions=2)
    await make_topics(f"{prefix}.completions", partitions=3)
    code, lines = await _run(broker, KEY | names)

    assert code == 1
    (line,) = [line for line in lines if f"{prefix}.completions" in line and "partitions" in line]
    assert "3" in line
    assert "2" in line


async def test_the_service_makes_its_topics_itself_where_that_is_asked_for(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    from service.sandbox.addresses import free_ports
    from service.sandbox.program import Program

    (port,) = free_ports(1)
    environment = (
        KEY
        | own_names(prefix)
        | {
            "REELWIRE_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "REELWIRE_HTTP__PORT": str(port),
            "REELWIRE_TOPICS__CREATE": "true",
        }
    )
    async with Program("service", ["run"], environment, tmp_path / "service.log") as service:
        await service.ready(f"http://127.0.0.1:{port}/health/ready")
        assert await service.stop() == 0
