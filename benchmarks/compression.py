"""What a codec costs and saves, for fragments and for completions. `python -m benchmarks.compression`.

Each codec writes the same records through aiokafka's own batch builder, in batches as the service makes them: one
fragment (a slow stream alone), 20 (busy), 200 (as many as go at 10,000 a second), and completions of 2 and 40 KB. The
text is English prose. CPU is that of building and compressing the batch, in this process, without broker and network.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pydoc_data.topics import topics

import click
import orjson
from aiokafka.producer.message_accumulator import BatchBuilder

from contracts.cloudevents import event_headers, event_type
from contracts.fragments import FragmentEncoder

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
Record = tuple[bytes, bytes, list[tuple[str, bytes | None]]]

_PROSE = " ".join(" ".join(topics.values()).split())  # some 600 KB of English
_SECONDS_PER_CASE = 1.0


@dataclass(frozen=True)
class Case:
    """Records of one batch."""

    name: str
    records: list[Record]


@dataclass(frozen=True)
class Cost:
    """Of one record."""

    cpu_us: float
    bytes: float


def _text(words: int, seed: int) -> str:
    """About this number of words of English, from anywhere in the prose."""
    begin = random.Random(seed).randrange(len(_PROSE) - 7 * words)
    return _PROSE[begin : begin + 6 * words]


def _fragments(count: int) -> list[Record]:
    """Fragments of some streams at once, as a batch of one partition mixes them."""
    encoders = [
        FragmentEncoder(
            request_id=f"cam{stream}-{918_273 + stream}",
            attempt=1,
            generation_id=f"{stream:08x}-6f1c-4b8e-9a35-0f5d3c2b1a{stream:02d}",
            source="reelwire/video.analysis.requests.v1",
            id_prefix=f"3-{120_000 + stream}-fragment-1",
        )
        for stream in range(min(count, 30))
    ]
    records: list[Record] = []
    for n in range(count):
        value, headers = encoders[n % len(encoders)].encode(n // len(encoders), _text(6, n), 1.77e9 + n / 400)
        records.append((f"cam{n % len(encoders)}".encode(), value, list(headers)))
    return records


def _completions(count: int, words: int) -> list[Record]:
    records: list[Record] = []
    for n in range(count):
        body = {
            "type": "completed", "request_id": f"cam7-{n}", "attempt": 1, "time": "2026-01-05T09:13:26.221Z",
            "metadata": {"camera": "yard", "site": 17}, "mode": "async", "text": _text(words, n), "data": None,
            "data_error": None, "finish_reason": "stop", "warning": None,
            "usage": {"input_tokens": 4_000 + n, "output_tokens": 300, "video_seconds": 600.0, "billed_minutes": 10.0},
            "generation_id": f"{n:032x}", "asset_id": f"{n:024x}", "task_id": f"{n + 1:024x}", "fragments": 0,
            "timings": {"queued": 0.1, "upload": 3.4, "analysis": 61.0, "first_fragment": None, "total": 64.6},
        }  # fmt: skip
        headers = event_headers(
            event_type=event_type("completed"), event_id=f"3-{n}-completion", source="reelwire/requests",
            subject=f"cam7-{n}", time="2026-01-05T09:13:26.221Z",
        )  # fmt: skip
        records.append((b"cam7", orjson.dumps(body), list(headers)))
    return records


def measure(case: Case, codec: int) -> Cost:
    """Build the batch again and again for a second."""
    built = cpu = size = 0
    end = time.perf_counter() + _SECONDS_PER_CASE
    while time.perf_counter() < end:
        begun = time.process_time_ns()
        builder = BatchBuilder(16 * 1024 * 1024, codec)
        for key, value, headers in case.records:
            builder.append(timestamp=1_770_000_000_000, key=key, value=value, headers=headers)
        size = len(builder._build())  # noqa: SLF001
        cpu += time.process_time_ns() - begun
        built += 1
    count = len(case.records)
    return Cost(cpu / 1_000 / built / count, size / count)


@click.command()
def main() -> None:
    """Print microseconds of CPU and bytes on the wire per record, for each codec."""
    cases = [
        Case("1 fragment", _fragments(1)),
        Case("20 fragments", _fragments(20)),
        Case("200 fragments", _fragments(200)),
        Case("1 completion, 2 KB", _completions(1, 250)),
        Case("20 completions, 2 KB", _completions(20, 250)),
        Case("1 completion, 40 KB", _completions(1, 6_000)),
    ]
    click.echo("| a batch of | " + " | ".join(CODECS) + " |")
    click.echo("|---" * (len(CODECS) + 1) + "|")
    for case in cases:
        costs = [measure(case, codec) for codec in CODECS.values()]
        click.echo(f"| {case.name} | " + " | ".join(f"{c.cpu_us:.1f} µs, {c.bytes:.0f} B" for c in costs) + " |")


if __name__ == "__main__":
    main()
