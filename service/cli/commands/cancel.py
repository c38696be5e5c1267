"""`reelwire cancel`: find a request, and ask for its cancellation where it is."""

from __future__ import annotations

import asyncio

import click

from service.cli.exits import CommandError, Exit
from service.cli.manual import epilog
from service.cli.reading.cluster import producer, send
from service.cli.reading.event_reader import event_reader
from service.cli.reading.output_record import OutputRecord
from service.cli.reading.request_search import Found, find_ended, find_open
from service.cli.request_body import checked
from service.cli.views.output import emit, json_option, note
from service.settings import Settings, load_settings

_ENDS = frozenset({"completed", "failed", "canceled"})


@click.command(
    "cancel",
    epilog=epilog(
        "reelwire cancel cli-0123456789abcdef",
        "reelwire cancel cam7-918273 --wait",
        "reelwire cancel cam7-918273 --wait --timeout 60 --json",
    ),
)
@click.argument("request_id")
@click.option("--wait", is_flag=True, help="Wait for the end of the request, and say what it was.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="With --wait: stop waiting after this time."
)
@json_option
def command(request_id: str, wait: bool, timeout: float | None, as_json: bool) -> int:
    """Cancel REQUEST_ID, wherever it is: it is looked for, so its key and partition need not be known.

    Its completion will be `canceled`, unless it ends by itself first. Exit code 4 when the id is not known or has
    ended, and with --wait when the request ended otherwise; 5 when it has not ended in time.
    """
    settings = load_settings()
    value = checked({"type": "cancel", "request_id": request_id}, settings)
    return asyncio.run(_cancel(settings, request_id, value, wait=wait, timeout=timeout, as_json=as_json))


async def _cancel(
    settings: Settings, request_id: str, value: bytes, *, wait: bool, timeout: float | None, as_json: bool
) -> Exit:
    places = await find_open(settings, request_id)
    if not places:
        ended = bool(await find_ended(settings, request_id))
        raise CommandError(_nothing_to_cancel(request_id, ended=ended), Exit.REQUEST_FAILED)
    if len(places) > 1:
        where = ", ".join(str(one.partition) for one in places)
        note(f"{request_id} is in {len(places)} partitions ({where}), and is canceled in each; see: reelwire doctor "
             f"--request {request_id}")  # fmt: skip
    async with event_reader(settings) as reader:
        positions = await reader.ends() if wait else {}
        for place in places:
            offset = await _send(settings, place, request_id, value)
            if as_json:
                emit({"role": "requests", "partition": place.partition, "offset": offset, "request_id": request_id})
            else:
                note(f"asked to cancel {request_id} in partition {place.partition}")
        if not wait:
            if not as_json:
                note(f"its end: reelwire watch --request {request_id} --from-beginning")
            return Exit.OK
        reader.begin(positions)
        left = {place.partition for place in places}
        ends: list[str] = []
        try:
            async with asyncio.timeout(timeout):
                async for event in reader.follow():
                    if event.request_id == request_id and event.type in _ENDS and event.partition in left:
                        left.discard(event.partition)
                        ends.append(event.type)
                        _told(event, as_json=as_json)
                    if not left:
                        break
        except TimeoutError:
            message = f"{request_id} has not ended within {timeout:g} s; it will: reelwire watch --request {request_id}"
            raise CommandError(message, Exit.TIMED_OUT) from None
    return Exit.OK if set(ends) == {"canceled"} else Exit.REQUEST_FAILED


async def _send(settings: Settings, place: Found, request_id: str, value: bytes) -> int:
    headers = [("content-type", b"application/json")]
    async with producer(settings) as client:
        _, offset = await send(
            settings,
            client,
            settings.topics.requests,
            key=place.key if place.key is not None else request_id.encode(),
            value=value,
            headers=headers,
            partition=place.partition,
        )
    return offset


def _told(event: OutputRecord, *, as_json: bool) -> None:
    if as_json:
        emit(event.as_json())
    elif event.type == "canceled":
        note(f"{event.request_id} is canceled")
    else:
        note(f"{event.request_id} ended as {event.type} before it could be canceled")


def _nothing_to_cancel(request_id: str, *, ended: bool) -> str:
    if ended:
        return f"{request_id} has ended already; its end: reelwire watch --request {request_id} --from-beginning"
    return (
        f"no request {request_id} is known: it is not among the jobs, the unread requests, or those that ended within "
        "REELWIRE_JOBS__DEDUP_HOURS; check the id, and that REELWIRE_TOPICS__* are those of the service"
    )
