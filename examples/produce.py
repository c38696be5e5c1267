"""Send one request: `python examples/produce.py https://media.example.com/cam7/918273.mp4`.

Settings come from the environment: REELWIRE_KAFKA__BOOTSTRAP_SERVERS (default localhost:9092) and
REELWIRE_TOPICS__REQUESTS. `make demo ARGS=--keep` prints the values of its own system.
"""

from __future__ import annotations

import argparse
import json
import os
import uuid

from confluent_kafka import KafkaError, Message, Producer


def request_for(source: str, request_id: str, prompt: str, mode: str) -> dict[str, object]:
    """The request; a path must lie below one of the service's file roots."""
    is_url = source.startswith(("http://", "https://"))
    video = {"type": "url", "url": source} if is_url else {"type": "file", "path": os.path.abspath(source)}
    return {"request_id": request_id, "video": video, "prompt": prompt, "mode": mode}


def main() -> None:
    """Send it, and wait until the broker has it."""
    parser = argparse.ArgumentParser(description="Send one analysis request.")
    parser.add_argument("source", help="URL or path of a video")
    parser.add_argument("--request-id", default=f"example-{uuid.uuid4().hex[:12]}")
    parser.add_argument("--key", default="camera-7", help="requests of one camera have one key")
    parser.add_argument("--prompt", default="Describe any incident, with timestamps.")
    parser.add_argument("--mode", default="auto", choices=["auto", "stream", "sync", "async"])
    typed = parser.parse_args()

    producer = Producer(
        {
            "bootstrap.servers": os.environ.get("REELWIRE_KAFKA__BOOTSTRAP_SERVERS", "localhost:9092"),
            # Kafka's own choice of a partition for a key. With another one, a cancel or a repeated id may miss its job.
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
        }
    )

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise SystemExit(f"the broker did not take the request: {error.str()}")
        print(f"{typed.request_id} is in partition {message.partition()} at offset {message.offset()}")

    producer.produce(
        os.environ.get("REELWIRE_TOPICS__REQUESTS", "video.analysis.requests.v1"),
        key=typed.key.encode(),
        value=json.dumps(request_for(typed.source, typed.request_id, typed.prompt, typed.mode)).encode(),
        headers=[("content-type", b"application/json")],
        on_delivery=delivered,
    )
    if producer.flush(30):
        raise SystemExit("no broker took the request within 30 s; check REELWIRE_KAFKA__BOOTSTRAP_SERVERS")


if __name__ == "__main__":
    main()
