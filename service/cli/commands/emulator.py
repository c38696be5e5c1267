"""`reelwire emulator`: a local platform."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from service.cli.exits import CommandError, Exit
from service.cli.manual import epilog
from service.cli.request_body import extra_member
from service.cli.views.output import note
from service.settings import LogSettings, load_settings
from service.telemetry.log import configure_logging

DEFAULT_PORT = 8081


@click.command(
    "emulator",
    epilog=epilog(
        "reelwire emulator",
        "reelwire emulator --port 8081 --pace time_scale=0 --state-dir /tmp/platform",
        "reelwire emulator --pace fragments=200 --pace fragment_interval_ms=50 --idempotency ignore",
        "REELWIRE_PLATFORM__BASE_URL=http://127.0.0.1:8081/v1.3 REELWIRE_PLATFORM__API_KEY=any reelwire run",
    ),
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, show_default=True, help="0: any free one."
)
@click.option("--api-key", help="The only key that is accepted.  [default: any]")
@click.option("--state-dir", type=click.Path(file_okay=False, path_type=Path), help="Keep assets and tasks here.")
@click.option(
    "--pace", "paces", multiple=True, metavar="NAME=VALUE", help="Latencies and lengths; see below for names."
)
@click.option("--seed", type=int, default=0, help="Another seed describes the same videos in other words.")
@click.option("--idempotency", type=click.Choice(["honour", "ignore", "conflict"]), default="honour", show_default=True)
@click.option("--no-cancellation", is_flag=True, help="Refuse every cancel.")
@click.option("--strict-parameters", is_flag=True, help="Refuse unknown members.")
@click.option("--flat-errors", is_flag=True, help="Every error in the flat shape.")
@click.option(
    "--chunk-bytes",
    type=click.IntRange(1),
    default=5 * 1024 * 1024,
    show_default=True,
    help="The size of a chunk in an upload session.",
)
@click.option("--enforce-upload-headers", is_flag=True, help="Refuse chunks without the upload_headers.")
@click.option("--upload-rpm", type=click.IntRange(min=1), help="Asset creations a minute before 429.")
@click.option("--analyze-rpm", type=click.IntRange(min=1), help="Analyses a minute before 429.")
@click.option("--webhook-url", metavar="URL", help="Tell this address of the end of each task.")
@click.option("--webhook-secret", default="whsec_emulator", show_default=True, help="What signs that.")
@click.option("--address-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the base url there.")
def command(paces: tuple[str, ...], no_cancellation: bool, address_file: Path | None, **typed: Any) -> int:
    """Run a local platform that reads the real bytes of videos, until SIGTERM or Ctrl-C.

    Faults and latencies can be changed while it runs, through its admin endpoints below /_emulator.
    Names for --pace: time_scale, asset_ready_seconds, task_queued_seconds, task_pending_seconds,
    task_processing_seconds, first_fragment_ms, fragment_interval_ms, sync_seconds, upload_session_seconds,
    upload_url_seconds, fragments, fragment_chars, characters.
    """
    settings = load_settings()
    configure_logging(settings.model_copy(update={"log": LogSettings(level=settings.log.level, format="console")}))
    try:
        from service.emulator.http.server import serve
        from service.emulator.options import EmulatorOptions, Pace
    except ModuleNotFoundError as error:
        raise CommandError(f"the emulator needs {error.name}: pip install 'reelwire[emulator]'") from None
    try:
        pace = Pace().changed(dict(extra_member(text) for text in paces))
    except ValueError as error:
        raise click.UsageError(f"--pace: {error}") from None
    options = EmulatorOptions(pace=pace, cancellation=not no_cancellation, **typed)
    if options.port:
        note(f"base url: http://{options.host}:{options.port}/v1.3")
    try:
        asyncio.run(serve(options, address_file))
    except OSError as error:
        raise CommandError(
            f"can't listen on {options.host}:{options.port}: {error.strerror or error}; choose another with --port"
        ) from None
    return Exit.OK
