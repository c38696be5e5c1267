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
@click.option("--plan", help="Limits as a plan has them: none, free, tier1, tier2, tier3.  [default: none]")
@click.option(
    "--limit", "limits", multiple=True, metavar="NAME=NUMBER", help="One limit before 429; see below for names."
)
@click.option(
    "--limit-scope",
    type=click.Choice(["organisation", "key"]),
    default="organisation",
    show_default=True,
    help="Whether all keys share the limits.",
)
@click.option(
    "--limit-headers",
    type=click.Choice(["plain", "request", "both", "none"]),
    default="plain",
    show_default=True,
    help="X-Ratelimit-*, X-RateLimit-Request-*, both or none.",
)
@click.option("--strict-assets", is_flag=True, help="Refuse the analysis of an asset that is processing.")
@click.option("--assets-ready-at-once", is_flag=True, help="Answer an upload when it is ready, as it was until 2026.")
@click.option("--prompt-limit-tokens", type=click.IntRange(min=1), help="Refuse longer prompts, as pegasus1.2 did.")
@click.option("--webhook-url", metavar="URL", help="Tell this address of the end of each task.")
@click.option("--webhook-secret", default="whsec_emulator", show_default=True, help="What signs that.")
@click.option("--address-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the base url there.")
def command(
    paces: tuple[str, ...],
    plan: str | None,
    limits: tuple[str, ...],
    no_cancellation: bool,
    address_file: Path | None,
    **typed: Any,
) -> int:
    """Run a local platform that reads the real bytes of videos, until SIGTERM or Ctrl-C.

    Faults and latencies can be changed while it runs, through its admin endpoints below /_emulator.
    Names for --pace: time_scale, asset_ready_seconds, task_queued_seconds, task_pending_seconds,
    task_processing_seconds, first_fragment_ms, fragment_interval_ms, sync_seconds, upload_session_seconds,
    upload_url_seconds, fragments, fragment_chars, characters.
    Names for --limit: upload_rpm, upload_rpd, analyze_rpm, analyze_rpd, analyze_dph, analyze_dpd, analyze_tpm,
    analyze_tpd, lifetime_minutes.
    """
    settings = load_settings()
    configure_logging(settings.model_copy(update={"log": LogSettings(level=settings.log.level, format="console")}))
    try:
        from service.emulator.http.server import serve
        from service.emulator.limits.limits import PLANS
        from service.emulator.options import EmulatorOptions, Pace
    except ModuleNotFoundError as error:
        raise CommandError(f"the emulator needs {error.name}: pip install 'reelwire[emulator]'") from None
    try:
        pace = Pace().changed(dict(extra_member(text) for text in paces))
    except ValueError as error:
        raise click.UsageError(f"--pace: {error}") from None
    if (plan or "none") not in PLANS:
        raise click.UsageError(f"--plan: must be one of {', '.join(PLANS)}")
    try:
        typed["limits"] = PLANS[plan or "none"].changed(dict(extra_member(text) for text in limits))
    except ValueError as error:
        raise click.UsageError(f"--limit: {error}") from None
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
