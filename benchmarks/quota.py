"""How well one quota is shared between processes: `python -m benchmarks.quota`. Real processes, a real broker.

Each process wants as many calls as it can get, in one run all of them, in the other one alone while the rest is idle.
Counted at the moment of the call, by the clock of the machine: the part of the quota that was used, and the most in
any window of 60 s. Uses the broker of `REELWIRE_KAFKA__BOOTSTRAP_SERVERS`, else one of its own.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Iterator

import click

from benchmarks.kafka_side import produce
from service.clock import SystemClock
from service.domain.shares.quota import Account, Ask
from service.domain.shares.turns import Line
from service.engine.turns.quota import Quotas
from service.kafka.ledger.log import LedgerLog
from service.kafka.ledger.records import PARTITION, ask_record, snapshot_record
from service.kafka.reading.topic_tail import TopicTail
from service.kafka.topics.plan import plan_topics
from service.sandbox.broker.broker import open_broker
from service.sandbox.topics import TopicMaker
from service.settings import Settings, load_settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics

_WINDOW_SECONDS = 60.0


def _settings(bootstrap: str, topic: str, limit: int) -> Settings:
    settings = load_settings(kafka={"bootstrap_servers": bootstrap}, quota={"requests_per_minute": limit})
    return settings.model_copy(update={"topics": settings.topics.model_copy(update={"ledger": topic})})


async def _call(settings: Settings, seconds: float, *, idle: bool) -> list[float]:
    """Make calls as the quota allows, for `seconds`; when each was made."""
    clock, made = SystemClock(), list[float]()
    supervisor = Supervisor(metrics := Metrics())
    tail = TopicTail(settings, settings.topics.ledger, clock, supervisor, partition=PARTITION)
    ledger = LedgerLog(settings=settings, metrics=metrics, clock=clock, supervisor=supervisor, tail=tail)
    await ledger.start()
    tail.start()
    quota = Quotas(settings.quota, ledger, clock, metrics).analyze
    try:
        async with asyncio.timeout(seconds):
            while not idle:
                await quota.wait(Line("normal", 0))
                made.append(time.time())
            await asyncio.sleep(seconds)
    except TimeoutError:
        pass
    await tail.close()
    await ledger.close()
    await supervisor.close()
    return made


async def _spawn(bootstrap: str, topic: str, limit: int, seconds: float, *, idle: bool) -> list[float]:
    options = ["--child", bootstrap, topic, "--limit", str(limit), "--seconds", str(seconds)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.quota", *options, *(["--idle"] if idle else []),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    return [float(line[5:]) for line in output.decode().splitlines() if line.startswith("call ")]


def _row(name: str, made: list[list[float]], limit: int) -> str:
    times = sorted(moment for one in made for moment in one)
    worst = max(sum(begin <= other < begin + _WINDOW_SECONDS for other in times) for begin in times)
    spent = (times[-1] - times[0]) / _WINDOW_SECONDS
    parts = " + ".join(str(len(one)) for one in made)
    return (
        f"{name}: {parts} calls in {spent:.2f} minutes, {len(times) / spent / limit:.1%} of the quota, "
        f"at most {worst} in any 60 s"
    )


async def _bench(limit: int, seconds: float, processes: int) -> None:
    async with await open_broker(load_settings()) as broker:
        bootstrap = broker.bootstrap_servers
        topics = [f"ledger-{uuid.uuid4().hex[:8]}" for _ in range(2)]
        for topic in topics:
            [plan] = [one for one in plan_topics(_settings(bootstrap, topic, limit)) if one.name == topic]
            maker = TopicMaker(_settings(bootstrap, topic, limit).kafka)
            await maker(topic, partitions=plan.partitions, configs=dict(plan.configs))
        spread, alone = await asyncio.gather(
            *(
                asyncio.gather(
                    *(
                        _spawn(bootstrap, topic, limit, seconds, idle=one_only and number > 0)
                        for number in range(processes)
                    )
                )
                for topic, one_only in zip(topics, (False, True), strict=True)
            )
        )
    click.echo(_row(f"demand in all {processes}", spread, limit))
    click.echo(_row("demand in one", alone, limit))


async def _start(records: int) -> None:
    """How long a process reads a ledger of `records` asks, with a snapshot after each hundred, before it begins."""
    async with await open_broker(load_settings()) as broker:
        settings = _settings(broker.bootstrap_servers, f"ledger-{uuid.uuid4().hex[:8]}", 60_000)
        topic = settings.topics.ledger
        [plan] = [one for one in plan_topics(settings) if one.name == topic]
        await TopicMaker(settings.kafka)(topic, partitions=plan.partitions, configs=dict(plan.configs))
        await asyncio.to_thread(produce, broker.bootstrap_servers, _asks(topic, records))
        clock, supervisor = SystemClock(), Supervisor(metrics := Metrics())
        began, cpu = time.perf_counter(), time.process_time()
        tail = TopicTail(settings, topic, clock, supervisor, partition=PARTITION)
        ledger = LedgerLog(settings=settings, metrics=metrics, clock=clock, supervisor=supervisor, tail=tail)
        await ledger.start()
        tail.start()
        await tail.ready.wait()
        seconds, busy = time.perf_counter() - began, time.process_time() - cpu
        click.echo(f"{records:,} asks: ready after {seconds:.1f} s, {busy:.1f} s of CPU; {ledger!r}")
        await tail.close()
        await ledger.close()
        await supervisor.close()


def _asks(topic: str, records: int) -> Iterator[tuple[str, int, bytes, bytes]]:
    account, now_ms = Account(), int(time.time() * 1000)
    for number in range(600):  # as many as there are in a minute
        account.ask(Ask(f"{number}", "analyze", 10, 60_000), now_ms - 60_000 + 100 * number)
    for number in range(records):
        record = ask_record(topic, Ask(f"{number:032x}", "analyze", 10, 60_000))
        yield topic, PARTITION, record.key or b"", record.value or b""
        if number % 100 == 99:
            record = snapshot_record(topic, account, number + number // 100 + 1)
            yield topic, PARTITION, record.key or b"", record.value or b""


@click.command()
@click.option("--start", default=0, help="Measure instead how long the start takes with this many asks in the ledger.")
@click.option("--limit", default=60, help="Calls a minute.")
@click.option("--seconds", default=300.0, help="How long calls are made.")
@click.option("--processes", default=3)
@click.option("--child", nargs=2, default=None, hidden=True)
@click.option("--idle", is_flag=True, hidden=True)
def main(start: int, limit: int, seconds: float, processes: int, child: tuple[str, str] | None, idle: bool) -> None:
    """Share one quota between processes, and say how much of it was used."""
    if start:
        asyncio.run(_start(start))
        return
    if child is None:
        asyncio.run(_bench(limit, seconds, processes))
        return
    for moment in asyncio.run(_call(_settings(*child, limit), seconds, idle=idle)):
        click.echo(f"call {moment:.6f}")


if __name__ == "__main__":
    main()
