"""The end of every command's help: examples, and what the exit codes mean."""

from __future__ import annotations

from service.cli.exits import MEANINGS

# click does not wrap the lines of a paragraph that begins with a backspace character.
EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())


def epilog(*examples: str) -> str:
    """Examples, one a line, and the exit codes."""
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples) + "\n\n" + EPILOG
