"""The `reelwire` command."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import suppress

import click
import orjson

from service.cli.exits import Exit, exit_of, message_of
from service.cli.group import reelwire
from service.cli.quiet import quiet_logging, silence_stdout
from service.cli.words import visible
from service.telemetry.redaction import clean


def main() -> None:
    """Entry point of the command. Every error becomes one line on stderr and one of the exit codes in `exits.py`.

    With --json that line is a JSON object, whatever the command and whatever the error.
    """
    debug = "--debug" in sys.argv[1:]
    quiet_logging(debug=debug)
    _leave(_run(debug=debug))


def _leave(code: int) -> None:
    """End the process with `code`.

    The threads of obstore may still hold objects of an interpreter that is being taken down, and then the process is
    aborted (SIGABRT) after all its work is done. So where it was used, the interpreter is not taken down.
    """
    if "obstore" in sys.modules:
        logging.shutdown()
        with suppress(OSError, ValueError):  # who reads our output may have ended
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(*, debug: bool) -> int:
    """Run the command, tell its error, and return the exit code."""
    try:
        code = reelwire.main(prog_name="reelwire", standalone_mode=False)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        if context is not None and not _for_programs():
            click.echo(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n", err=True)
        _tell(error.format_message(), Exit.USAGE)
        return Exit.USAGE
    except BrokenPipeError:  # the program that read our output has ended, as `head` does
        silence_stdout()
        return Exit.FAILURE
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- the outermost place: any error must become a line
        if debug:
            click.echo(clean(traceback.format_exc()), err=True)
        _tell(message_of(error), exit_of(error))
        return exit_of(error)
    return code if isinstance(code, int) else Exit.OK


def _for_programs() -> bool:
    # Read here, because errors may come before click has parsed the options.
    return "--json" in sys.argv[1:]


def _tell(message: str, code: Exit) -> None:
    """The error's line on stderr. For people, further lines are indented below it."""
    if _for_programs():
        error = {"name": code.name.lower(), "exit_code": code.value, "message": clean(message)}
        click.echo(orjson.dumps({"error": error}).decode(), err=True)
        return
    lines = visible(clean(message)).splitlines() or ["failed without a message"]
    click.echo("\n".join(["reelwire: " + lines[0], *("          " + line for line in lines[1:])]), err=True)
