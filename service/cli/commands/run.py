"""`reelwire run`: the service itself."""

from __future__ import annotations

import click

from service.cli.manual import epilog
from service.settings import load_settings


@click.command(
    "run",
    epilog=epilog(
        "TWELVELABS_API_KEY=tlk_… reelwire run",
        "REELWIRE_LOG__FORMAT=console reelwire run",
        "REELWIRE_CONFIG=/etc/reelwire.toml reelwire run",
    ),
)
def command() -> int:
    """Run the service until SIGTERM or Ctrl-C."""
    settings = load_settings()
    from service.app import main  # imported after the settings were read, so that a wrong setting is told at once

    return main(settings)
