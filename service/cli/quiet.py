"""Keep libraries from printing while a command runs."""

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
    """Switch library logs off, or with `debug` send them to stderr. `reelwire run` configures logging itself."""
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
    """Send stdout to nowhere: after a broken pipe the interpreter would fail when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
