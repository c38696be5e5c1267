"""Show fragments while they come, and each completion once: `python examples/consume.py --until example-1234`.

What a reader of these topics has to know is in three places, marked 1 to 3. Settings come from the environment, as in
`produce.py`: REELWIRE_KAFKA__BOOTSTRAP_SERVERS, REELWIRE_TOPICS__FRAGMENTS, REELWIRE_TOPICS__COMPLETIONS.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

from confluent_kafka import Consumer, Message

FRAGMENTS = os.environ.get("REELWIRE_TOPICS__FRAGMENTS", "video.analysis.fragments.v1")
COMPLETIONS = os.environ.get("REELWIRE_TOPICS__COMPLETIONS", "video.analysis.completions.v1")


class Reader:
    """Keeps what tells old from new: ids of completions, and the highest attempt of each request."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()  # keep it as long as ids may repeat, in a store if you restart
        self._attempts: dict[str, int] = {}

    def fragment(self, body: dict[str, Any]) -> str | None:
        """A line to show; None for a fragment of an attempt that was given up."""
        request_id, attempt = body["request_id"], body["attempt"]
        highest = self._attempts.get(request_id, 0)
        # 2. A lower attempt comes from a process that was taken for dead: ignore it. A higher one begins again.
        if attempt < highest:
            return None
        self._attempts[request_id] = attempt
        again = " (begins again)" if attempt > highest > 0 else ""
        return f"{request_id} attempt {attempt}{again}: {json.dumps(body['text'], ensure_ascii=False)}"

    def is_new(self, headers: dict[str, str]) -> bool:
        """Whether this completion was not seen before."""
        # 3. A repeated request has its completion published again, with the same source and id.
        name = headers["ce_source"], headers["ce_id"]
        new = name not in self._seen
        self._seen.add(name)
        return new


def headers_of(message: Message) -> dict[str, str]:
    """The headers as text."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in message.headers() or ()}


def main() -> None:
    """Read until Ctrl-C, until the completion of `--until`, or until `--seconds` are over."""
    parser = argparse.ArgumentParser(description="Show fragments and completions.")
    parser.add_argument("--group", default="example-reader")
    parser.add_argument("--until", metavar="REQUEST_ID", help="end with the completion of this request")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    typed = parser.parse_args()

    consumer = Consumer(
        {
            "bootstrap.servers": os.environ.get("REELWIRE_KAFKA__BOOTSTRAP_SERVERS", "localhost:9092"),
            "group.id": typed.group,
            "auto.offset.reset": "earliest",
            # 1. Completions are written in transactions: read committed ones only. Fragments are outside of them.
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([FRAGMENTS, COMPLETIONS])
    reader, end = Reader(), time.monotonic() + typed.seconds
    try:
        while time.monotonic() < end:
            message = consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            body = json.loads(message.value() or b"{}")
            if message.topic() == FRAGMENTS:
                if line := reader.fragment(body):
                    print(line, flush=True)
            elif reader.is_new(headers_of(message)):
                how = body["text"] if body["type"] == "completed" else body.get("error") or body.get("reason")
                print(f"{body['request_id']} {body['type']}: {how}", flush=True)
                if body["request_id"] == typed.until:
                    return
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
    if typed.until:
        raise SystemExit(f"no completion of {typed.until} within {typed.seconds:g} s")


if __name__ == "__main__":
    main()
