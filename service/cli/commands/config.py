"""`reelwire config`: the effective settings, without secrets."""

from __future__ import annotations

import click

from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.views.output import emit, json_option, note, table
from service.settings import Settings, load_settings
from service.settings.secrets import redacted
from service.settings.sources import origins


@click.command(
    "config",
    epilog=epilog(
        "reelwire config",
        "reelwire config --changed",
        "reelwire config --json | jq -r 'select(.origin != \"default\") | .variable'",
        "reelwire config --check && reelwire run",
    ),
)
@click.option("--check", is_flag=True, help="Print nothing but what is wrong; the exit code tells.")
@click.option("--changed", is_flag=True, help="Only settings that differ from their default's origin.")
@json_option
def command(check: bool, changed: bool, as_json: bool) -> int:
    """Show every setting, its effective value (secrets redacted) and where it comes from."""
    settings = load_settings()
    if check:
        if not as_json:
            note("the settings are fine")
        return Exit.OK
    origin = origins(Settings)
    shown = {name: value for name, value in redacted(settings).items() if not changed or origin[name] != "default"}
    if as_json:
        for name, value in shown.items():
            emit({"variable": name, "value": value, "origin": origin[name]})
    else:
        rows = [(name, _plain(value), origin[name]) for name, value in shown.items()]
        table(("variable", "value", "origin"), rows)
    return Exit.OK


def _plain(value: object) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
