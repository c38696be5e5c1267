"""`reelwire completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from service.cli.exits import Exit
from service.cli.manual import epilog

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_REELWIRE_COMPLETE"
"""click answers a shell's questions when this is set; its name follows from the program's."""


@click.command(
    "completion",
    epilog=epilog(
        'eval "$(reelwire completion bash)"',
        "reelwire completion zsh >> ~/.zshrc",
        "reelwire completion fish > ~/.config/fish/completions/reelwire.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print a script for SHELL that completes commands and options. It asks this program only; no network is needed."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known")
    # The text alone: `source()` would also run bash to see its version, which need not be installed here.
    script = kind(context.find_root().command, {}, "reelwire", VARIABLE)
    click.echo(script.source_template % script.source_vars())
    return Exit.OK
