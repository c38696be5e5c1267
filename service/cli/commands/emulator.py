"""`reelwire emulator`: a local platform."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import click

from service.cli.exits import CommandError, Exit
from service.cli.manual import epilog
from service.cli.request_body import extra_member
from service.cli.views.output import emit, json_option, note, table
from service.settings import LogSettings, load_settings
from service.telemetry.log import configure_logging
from service.unbindable import unbindable

DEFAULT_PORT = 8081


@click.group(
    "emulator",
    invoke_without_command=True,
    epilog=epilog(
        "reelwire emulator",
        "reelwire emulator --port 8081 --pace time_scale=0 --state-dir /tmp/platform",
        "reelwire emulator --plan tier1 --limit analyze_rpm=5",
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
@click.pass_context
def command(
    context: click.Context,
    /,
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
    if context.invoked_subcommand is not None:
        return Exit.OK
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
        where = (options.host, options.port)
        raise unbindable(error, *where, host_setting="--host", port_setting="--port") from None
    return Exit.OK


@command.command(
    "verify",
    epilog=epilog(
        "reelwire emulator verify",
        "REELWIRE_PLATFORM__API_KEY_FILE=key reelwire emulator verify --live",
        "reelwire emulator verify --live --billed --base-url http://127.0.0.1:8081/v1.3",
    ),
)
@click.option("--live", is_flag=True, help="Send the requests. Without it, or without a key, they are only listed.")
@click.option("--billed", is_flag=True, help="Also what is billed: about ten analyses of 4 seconds each.")
@click.option("--base-url", help="The platform's address.  [default: REELWIRE_PLATFORM__BASE_URL]")
@json_option
def verify_command(live: bool, billed: bool, base_url: str | None, as_json: bool) -> int:
    """Compare the emulator's behaviours with a real platform, each by a request or two.

    It makes some assets and deletes them, and begins upload sessions, which end by themselves after a day. Exit code
    1: something is different.
    """
    settings = load_settings()
    key = settings.platform_api_key()
    try:
        from service.emulator.verification.verify import planned
    except ModuleNotFoundError as error:
        raise CommandError(f"the emulator needs {error.name}: pip install 'reelwire[emulator]'") from None
    if not live or key is None:
        rows = [
            (one.name, str(one.known_from), "billed" if probe.billed else "") for one, probe in planned(billed=billed)
        ]
        if as_json:
            for name, known_from, cost in rows:
                emit({"behaviour": name, "known_from": known_from, "billed": bool(cost), "outcome": "planned"})
        else:
            table(("behaviour", "known from", "cost"), rows)
        missing = "" if key is not None else "; it needs a key in REELWIRE_PLATFORM__API_KEY"
        note(f"{len(rows)} comparisons, nothing was sent: --live sends them{missing}")
        return Exit.OK
    return asyncio.run(_compare(base_url or settings.platform.base_url, key, billed=billed, as_json=as_json))


async def _compare(base_url: str, key: str, *, billed: bool, as_json: bool) -> int:
    from service.emulator.verification.verify import Outcome, verify
    from service.sandbox.footage import sample_video

    counts: Counter[Outcome] = Counter()
    rows: list[tuple[str, ...]] = []
    async for found in verify(base_url, key, sample_video(), billed=billed):
        counts[found.outcome] += 1
        name, known_from, seen = found.behaviour.name, str(found.behaviour.known_from), found.seen or ""
        rows.append((name, known_from, str(found.outcome), seen))
        if as_json:
            emit({"behaviour": name, "known_from": known_from, "outcome": str(found.outcome), "seen": found.seen})
    if not as_json:
        table(("behaviour", "known from", "outcome", "seen"), rows)
    same, different, not_tried = (counts[outcome] for outcome in Outcome)
    note(f"{same} the same, {different} different, {not_tried} not tried")
    if not same and not_tried:
        raise CommandError(f"nothing could be compared with {base_url}: {rows[0][3]}", Exit.UNREACHABLE)
    return Exit.FAILURE if different else Exit.OK
