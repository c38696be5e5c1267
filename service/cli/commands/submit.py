"""`reelwire submit`: send a request to Kafka, and with --wait show its events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import click

from service.cli.exits import CommandError, Exit
from service.cli.manual import epilog
from service.cli.reading.cluster import partition_counts, producer, send
from service.cli.reading.event_reader import event_reader
from service.cli.reading.output_record import OutputRecord
from service.cli.reading.waiting import company
from service.cli.request_body import (
    DEFAULT_PROMPT,
    checked,
    hints,
    json_object,
    new_request_id,
    request_member,
    response_format,
    video_of,
)
from service.cli.views.output import emit, json_option, note
from service.cli.views.request_view import RequestView
from service.cli.views.wait_screen import Screen, screen_for
from service.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Submission:
    """The record to send, and how to wait for its completion. `timeout_seconds` None waits without end."""

    request_id: str
    key: str
    value: bytes
    timeout_seconds: float | None
    as_json: bool
    partition: int | None = None


@click.command(
    "submit",
    epilog=epilog(
        'reelwire submit https://media.example.com/a.mp4 --prompt "Any incident?" --wait',
        "reelwire submit /videos/a.mp4 --mode stream --wait",
        "reelwire submit asset:65f0c0ffee --response-format schema.json --wait > out.json",
        "reelwire submit s3://footage/cam7/a.mp4 --request-id cam7-918273 --key cam7",
    ),
)
@click.argument("source")
@click.option("--prompt", help="What to do with the video.  [default: describe it, with timestamps]")
@click.option("--mode", type=click.Choice(["auto", "stream", "sync", "async"]), help="How the platform is asked.")
@click.option("--wait", is_flag=True, help="Wait for the completion. A terminal shows upload and fragments; "
              "else stdout gets the completion's text only.")  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="With --wait: stop waiting after this time."
)
@click.option("--request-id", help="Identity of the job; a known one starts nothing.  [default: a new one]")
@click.option("--key", help="Key of the record.  [default: the request id]")
@click.option("--partition", type=click.IntRange(min=0), help="Partition.  [default: by the key, with murmur2]")
@click.option("--upload", type=click.Choice(["auto", "inline"]), help="Create an asset, or hand the video over inline.")
@click.option("--video-key", metavar="NAME", help="Your name for the content: the same name is the same video.")
@click.option("--metadata", metavar="JSON", help="Object that is copied to the events.")
@click.option("--response-format", "format_file", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help="JSON Schema of the answer, or the platform's response_format.")  # fmt: skip
@click.option("--temperature", type=float)
@click.option("--max-tokens", type=int)
@click.option("--start", type=float, metavar="SECONDS", help="Analyse from this time of the video.")
@click.option("--end", type=float, metavar="SECONDS", help="Analyse up to this time.")
@click.option("--model", help="Model's name.")
@click.option("--deadline", metavar="RFC3339", help="Time after which the job fails.")
@click.option(
    "--on-interrupt",
    type=click.Choice(["restart", "async", "fail"]),
    help="What to do when a crash cuts the stream off.",
)
@click.option("--set", "extra", multiple=True, metavar="NAME=VALUE", help="Any other member of the request.")
@json_option
def command(source: str, wait: bool, timeout: float | None, as_json: bool, **typed: Any) -> int:
    """Submit SOURCE for analysis: a URL, asset:ID, s3://…, gs://…, az://… or the path of a file.

    The request is checked first, as the service does. Without --wait the command ends when Kafka has the request.
    """
    settings = load_settings()
    body = request_from(source, typed)
    value = checked(body, settings)
    for hint in hints(body["video"], settings):
        note(f"note: {hint}")
    request_id = str(body["request_id"])
    submission = Submission(request_id, typed["key"] or request_id, value, timeout, as_json, typed["partition"])
    if not wait:
        asyncio.run(produce_only(settings, submission))
        return Exit.OK
    screen = screen_for(as_json=as_json)
    try:
        with screen:
            view = asyncio.run(produce_and_wait(settings, submission, screen))
    except KeyboardInterrupt:
        note(f"\n{_goes_on(submission)}")
        raise
    return Exit.OK if view.succeeded else Exit.REQUEST_FAILED


def request_from(source: str, typed: dict[str, Any]) -> dict[str, Any]:
    """The members of the request, from the command's options. A member is None if its option was not given."""
    extra = dict(request_member(text) for text in typed["extra"])
    if typed["prompt"] is not None and not typed["prompt"].strip():
        raise click.UsageError("--prompt is empty; leave it out for the default one")
    prompt = typed["prompt"] or (None if "prompt_v2" in extra else DEFAULT_PROMPT)
    if typed["prompt"] is None and extra.get("analysis_mode") == "time_based_metadata":
        prompt = None  # the segment definitions say what to look for
    return {
        "type": "analyze",
        "request_id": typed["request_id"] or new_request_id(),
        "video": video_of(source, typed["video_key"]),
        "prompt": prompt,
        "mode": typed["mode"],
        "upload": typed["upload"],
        "model_name": typed["model"],
        "temperature": typed["temperature"],
        "max_tokens": typed["max_tokens"],
        "response_format": response_format(typed["format_file"]) if typed["format_file"] else None,
        "start_time": typed["start"],
        "end_time": typed["end"],
        "deadline": typed["deadline"],
        "on_interrupt": typed["on_interrupt"],
        "metadata": json_object(typed["metadata"], "--metadata") if typed["metadata"] is not None else None,
        **extra,
    }


async def produce_only(settings: Settings, submission: Submission) -> None:
    """Send the request, and print its id, partition and offset."""
    await _check_partition(settings, submission)
    partition, offset = await _produce(settings, submission)
    if submission.as_json:
        emit(_submitted(submission, settings, partition, offset))
        return
    click.echo(submission.request_id)
    note(f"submitted to partition {partition}, offset {offset}; follow it with: {_watch(submission)}")


async def produce_and_wait(settings: Settings, submission: Submission, screen: Screen) -> RequestView:
    """Send the request and follow its events until it ends. End offsets are read first, so no event is missed."""
    await _check_partition(settings, submission)
    async with event_reader(settings) as reader:
        positions = await reader.ends()
        partition, offset = await _produce(settings, submission)
        view = RequestView(submission.request_id, partition, offset)
        screen.submitted(view, _submitted(submission, settings, partition, offset))
        reader.begin(positions, partition)
        told = company(
            settings,
            untouched=lambda: view.phase == "submitted",
            tick=lambda seconds: screen.tick(view, seconds),
            warn=screen.warn,
        )
        try:
            async with asyncio.timeout(submission.timeout_seconds), told:
                async for event in reader.follow():
                    _refuse_other_answers(submission, event)
                    changes = view.apply(event)
                    if changes:
                        screen.show(view, event, changes)
                    if view.ended:
                        break
        except TimeoutError:
            waited = f"no completion within {submission.timeout_seconds:g} s"
            raise CommandError(f"{waited}; {_goes_on(submission)}", Exit.TIMED_OUT) from None
    return view


def _refuse_other_answers(submission: Submission, event: OutputRecord) -> None:
    """What is published for this id may be the answer to an earlier request with another body."""
    other = event.type == "duplicate" and event.body.get("same_body") is False
    if other and event.request_id == submission.request_id:
        raise CommandError(
            f"{submission.request_id} was used before, for a request with another body; nothing was begun, and that "
            "answer is not yours. Choose another --request-id, or see it with: "
            f"reelwire watch --request {submission.request_id} --from-beginning",
            Exit.OTHER_REQUEST,
        )


async def _check_partition(settings: Settings, submission: Submission) -> None:
    topic = settings.topics.requests
    count = (await partition_counts(settings, [topic]))[topic]
    if submission.partition is not None and submission.partition >= count:
        raise CommandError(f"{topic} has partitions 0 to {count - 1}; there is no {submission.partition}", Exit.USAGE)


async def _produce(settings: Settings, submission: Submission) -> tuple[int, int]:
    async with producer(settings) as client:
        return await send(
            settings,
            client,
            settings.topics.requests,
            key=submission.key.encode(),
            value=submission.value,
            headers=[("content-type", b"application/json")],
            partition=submission.partition,
        )


def _submitted(submission: Submission, settings: Settings, partition: int, offset: int) -> dict[str, object]:
    return {
        "role": "requests",
        "topic": settings.topics.requests,
        "partition": partition,
        "offset": offset,
        "key": submission.key,
        "request_id": submission.request_id,
    }


def _watch(submission: Submission) -> str:
    return f"reelwire watch --request {submission.request_id} --from-beginning"


def _goes_on(submission: Submission) -> str:
    return (
        f"the job goes on: follow it with `{_watch(submission)}`, end it with `reelwire cancel {submission.request_id}`"
    )
