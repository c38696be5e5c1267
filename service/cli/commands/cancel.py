"""`reelwire cancel`: send a cancel request to Kafka."""

from __future__ import annotations

import asyncio

import click

from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.reading.cluster import partition_counts, producer, send
from service.cli.request_body import checked
from service.cli.views.output import emit, json_option, note
from service.settings import Settings, load_settings


@click.command(
    "cancel",
    epilog=epilog(
        "reelwire cancel cli-0123456789abcdef",
        "reelwire cancel cam7-918273 --key cam7",
    ),
)
@click.argument("request_id")
@click.option("--key", help="Key of the request's record; it must be the same.  [default: the request id]")
@json_option
def command(request_id: str, key: str | None, as_json: bool) -> int:
    """Cancel REQUEST_ID. Its completion will be `canceled`; a finished or unknown id is ignored."""
    settings = load_settings()
    value = checked({"type": "cancel", "request_id": request_id}, settings)
    partition, offset = asyncio.run(_send(settings, (key or request_id).encode(), value))
    if as_json:
        emit({"role": "requests", "partition": partition, "offset": offset, "request_id": request_id})
    else:
        note(f"asked to cancel {request_id}; its end: reelwire watch --request {request_id} --from-beginning")
    return Exit.OK


async def _send(settings: Settings, key: bytes, value: bytes) -> tuple[int, int]:
    await partition_counts(settings, [settings.topics.requests])
    async with producer(settings) as client:
        headers = [("content-type", b"application/json")]
        return await send(settings, client, settings.topics.requests, key=key, value=value, headers=headers)
