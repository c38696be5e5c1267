"""What a command's libraries may print: nothing, unless asked for."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import structlog

from service.telemetry.redaction import clean


class _Clean(logging.Formatter):
    """Libraries log what they send: Kafka's handshake with the password, requests with their headers."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


def quiet_logging(*, debug: bool) -> None:
    """Commands speak for themselves; `--debug` shows the libraries' logs on stderr. `run` configures its own."""
    if debug:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Clean(logging.BASIC_FORMAT))
        logging.basicConfig(level=logging.DEBUG, handlers=[handler])
        return
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore", ResourceWarning)


def silence_stdout() -> None:
    """Keep the interpreter from complaining about a closed pipe when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
