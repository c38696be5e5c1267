"""`reelwire demo`: the whole system on this machine."""

from __future__ import annotations

import click

from service.cli.manual import epilog
from service.cli.views.output import json_option


@click.command(
    "demo",
    epilog=epilog(
        "reelwire demo",
        "reelwire demo --keep",
    ),
)
@click.option("--keep", is_flag=True, help="Leave everything up and print the addresses and commands to try.")
@json_option
def command(keep: bool, as_json: bool) -> int:
    """Start Kafka, the emulator and the service here, and send a few requests through.

    Exit code 1 when a request did not end as it should, or with --keep when the service or the emulator ended.
    """
    from service.sandbox.demo.demo import run_demo  # needs the extra `sandbox`

    return run_demo(keep=keep, as_json=as_json)
