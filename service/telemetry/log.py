"""Structured logs: one JSON object a line on stderr, ours and those of the libraries alike; for people on a terminal.

Callers bind `request_id`, `partition`, `attempt` and `task_id` with `structlog.contextvars` (or `log.bind`).
Members: `timestamp` (RFC 3339, UTC), `level`, `event` (a name of the catalogue, or a library's message).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from service.settings import LogSettings, Settings
from service.settings.secrets import remember_secrets
from service.telemetry.redaction import clean_value
from service.telemetry.repetition import EventFolding, Folding
from service.words import in_words

# Libraries that log what is none of the operator's business below a warning.
_LIBRARIES_LEVEL = logging.WARNING


def get_logger() -> FilteringBoundLogger:
    """A logger for `log.info(LogEvent.NAME, key=value)`; may be made before `configure_logging` is called."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor that every line passes last, before it is rendered."""
    for name, value in event.items():
        event[name] = clean_value(name, value)
    return event


class Worded(logging.Filter):
    """Puts a library's errors into words: aiokafka logs them as they are, or by their `repr`."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and any(isinstance(arg, BaseException) for arg in record.args):
            told = tuple(in_words(arg) if isinstance(arg, BaseException) else arg for arg in record.args)
            if isinstance(record.msg, str):
                record.msg = record.msg.replace("%r", "%s")
            record.args = told
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None and type(error).__module__ == record.name.partition(".")[0] + ".errors":
            # The library knows this error and what it means, a right that is missing: where it came up says nothing.
            record.msg, record.args = f"{record.getMessage()}: {in_words(error)}", ()
            record.exc_info = record.exc_text = None
        return True


def in_plain_words(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor that puts an error that is a member of a line into words."""
    for name, value in event.items():
        if isinstance(value, BaseException) and name != "exc_info":
            event[name] = in_words(value)
    return event


def _json(event: MutableMapping[str, Any], **_options: object) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return orjson.dumps(first | dict(event), default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def processors(settings: LogSettings, stream: TextIO) -> tuple[list[Processor], Processor]:
    """What every line goes through, and the renderer at its end."""
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        in_plain_words,
    ]
    renderer: Processor
    if settings.format == "json" or (settings.format == "auto" and not stream.isatty()):
        chain.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer(serializer=_json)
    else:
        chain.append(structlog.processors.format_exc_info)
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    chain.append(without_secrets)
    return chain, renderer


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send our events and the libraries' logs to `stream` (stderr). Called once, at the start."""
    out = stream or sys.stderr
    remember_secrets(settings)
    chain, renderer = processors(settings.log, out)
    level = logging.getLevelNamesMapping()[settings.log.level]
    structlog.configure(
        processors=[EventFolding(), *chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *chain],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(Worded())
    handler.addFilter(Folding())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(level, _LIBRARIES_LEVEL))
    logging.captureWarnings(capture=True)
