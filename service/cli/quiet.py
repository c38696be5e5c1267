"""Keep libraries from printing while a command runs."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import structlog


def quiet_logging(*, debug: bool) -> None:
    """Switch library logs off, or with `debug` send them to stderr. `reelwire run` configures logging itself."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        return
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore", ResourceWarning)


def silence_stdout() -> None:
    """Send stdout to nowhere: after a broken pipe the interpreter would fail when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
