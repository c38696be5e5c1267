"""The examples in the help of every command, taken apart as a shell would."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import click

from service.cli.group import reelwire


@dataclass(frozen=True, slots=True)
class Example:
    """One call of `reelwire` in an example. `variables` are those set in front of it."""

    shown_by: str
    arguments: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return " ".join(self.arguments)


def commands(command: click.Command = reelwire, words: str = "reelwire") -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, f"{words} {name}")


def examples() -> Iterator[Example]:
    """Every call in every command's examples."""
    for words, command in commands():
        inside = False
        for line in (command.epilog or "").splitlines():
            inside = line == "Examples:" or (inside and line.startswith("  "))
            if inside and line.startswith("  "):
                yield from calls(words, line.strip())


def calls(words: str, line: str) -> Iterator[Example]:
    """The calls of `reelwire` in one line: between pipes, in a list, or in a substitution."""
    for inner in re.findall(r"\$\((.*?)\)", line):
        yield from calls(words, inner)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    part: list[str] = []
    for token in [*lexer, ";"]:
        if token not in {"|", "||", "&&", ";", "&"}:
            part.append(token)
            continue
        yield from _call(words, part)
        part = []


def _call(words: str, tokens: list[str]) -> Iterator[Example]:
    variables = []
    while tokens and (found := re.fullmatch(r"([A-Z][A-Z0-9_]*)=(.*)", tokens[0])):
        variables.append((found[1], found[2]))
        tokens = tokens[1:]
    if tokens and tokens[0] == "reelwire":
        end = next((at for at, token in enumerate(tokens) if token in {">", ">>", "<"}), len(tokens))
        yield Example(words, tuple(tokens[1:end]), tuple(variables))
