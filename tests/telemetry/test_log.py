"""Log lines: their form, and what never gets into them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiokafka.errors import TopicAuthorizationFailedError

from service.settings import LogSettings, PlatformSettings, Settings
from service.telemetry.events import LogEvent
from service.telemetry.log import configure_logging, get_logger
from service.telemetry.repetition import EVENTS_IN_WINDOW

pytestmark = pytest.mark.unit

SECRET = "tlk_0123456789abcdef"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def configure(stream: io.StringIO, **log: Any) -> None:
    settings = Settings(log=LogSettings(**log), platform=PlatformSettings.model_validate({"api_key": SECRET}))
    configure_logging(settings, stream)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_event_and_context(stream: io.StringIO) -> None:
    configure(stream)
    with structlog.contextvars.bound_contextvars(request_id="r1", partition=3, attempt=2, task_id="t9"):
        get_logger().info(LogEvent.SERVICE_READY, detail="line one\nline two")
    [line] = lines(stream)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["event"] == "service_ready"
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")
    assert (line["request_id"], line["partition"], line["attempt"], line["task_id"]) == ("r1", 3, 2, "t9")


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    configure(stream, level="WARNING")
    get_logger().info(LogEvent.SERVICE_READY)
    get_logger().warning(LogEvent.SERVICE_STOPPING)
    assert [line["event"] for line in lines(stream)] == ["service_stopping"]


def test_libraries_are_heard_from_a_warning_on_in_the_same_form(stream: io.StringIO) -> None:
    configure(stream, level="DEBUG")
    for name in ("aiokafka", "aiohttp.server", "httpx"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("lost %s", "connection")
    assert [(line["logger"], line["event"], line["level"]) for line in lines(stream)] == [
        ("aiokafka", "lost connection", "warning"),
        ("aiohttp.server", "lost connection", "warning"),
        ("httpx", "lost connection", "warning"),
    ]


def test_an_error_that_a_library_knows_is_told_in_words_and_any_other_with_where_it_came_up(
    stream: io.StringIO,
) -> None:
    configure(stream)
    for error in (TopicAuthorizationFailedError("requests"), RuntimeError("a fault")):
        try:
            raise error
        except (TopicAuthorizationFailedError, RuntimeError):
            logging.getLogger("aiokafka.producer.sender").exception("Unexpected error in %s", "sender routine")
    known, other = lines(stream)
    assert known["event"].startswith("Unexpected error in sender routine: ")
    assert "exception" not in known
    assert "Error" not in known["event"]
    assert "Traceback" in other["exception"]


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": "abcdefgh"},
        {"headers": {"x-api-key": "abcdefgh", "Authorization": "abcdefgh"}},
        {"sasl_password": "abcdefgh"},
        {"detail": f"key {SECRET} was refused"},
        {"inner": [{"deep": f"x{SECRET}x"}]},
        {"url": "https://bucket.example.com/a.mp4?X-Amz-Signature=abcdefgh&b=1"},
        {"detail": "GET https://user:abcdefgh@example.com/a failed"},
        {"error": ValueError(f"refused {SECRET}")},
    ],
)
def test_secrets_are_redacted_wherever_they_are(stream: io.StringIO, given: dict[str, Any]) -> None:
    configure(stream)
    get_logger().warning(LogEvent.SERVICE_STOPPING, **given)
    assert "abcdefgh" not in stream.getvalue()
    assert SECRET not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_secrets_in_lines_and_tracebacks_of_libraries_are_redacted(stream: io.StringIO) -> None:
    configure(stream)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("httpx").exception("with %s", SECRET)
    assert SECRET not in stream.getvalue()
    assert "Traceback" in lines(stream)[0]["exception"]


def test_what_is_no_secret_is_left_alone(stream: io.StringIO) -> None:
    configure(stream)
    given = {"key": "cam7", "idempotency_key": "k1", "output_tokens": 12, "url": "https://example.com/a.mp4"}
    get_logger().info(LogEvent.SERVICE_READY, **given)
    [line] = lines(stream)
    assert {name: line[name] for name in given} == given


def test_a_video_in_base64_does_not_fill_the_log(stream: io.StringIO) -> None:
    configure(stream)
    get_logger().info(LogEvent.SERVICE_READY, detail="A" * 1_000_000)
    assert len(stream.getvalue()) < 5_000


class Broken:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "value",
    ["\ud800 half", "\x1b[31mred\x07", 2**70, -(2**64), 10**4_000, float("nan"), Broken(), {"a": {1: Broken()}},
     b"\xff", {"\ud800": "\udfff"}, LogEvent.SERVICE_READY, [[[[[[[[[[[[1]]]]]]]]]]]]],
)  # fmt: skip
def test_whatever_is_logged_becomes_a_line(stream: io.StringIO, form: str, value: Any) -> None:
    configure(stream, format=form)
    get_logger().warning(LogEvent.SERVICE_STOPPING, detail=value)
    logging.getLogger("aiokafka").warning("with %r", value if isinstance(value, str) else "x")
    text = stream.getvalue()
    assert text.count("service_stopping") == 1
    assert "\x1b[31mred" not in text
    assert text.encode()


def test_the_console_form_is_for_people(stream: io.StringIO) -> None:
    configure(stream, format="console")
    get_logger().info(LogEvent.SERVICE_READY, partition=3)
    assert "service_ready" in stream.getvalue()
    assert "partition=3" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_a_stream_of_rejected_records_does_not_fill_the_log(stream: io.StringIO) -> None:
    configure(stream)
    log = get_logger()
    for offset in range(5_000):
        log.warning(LogEvent.RECORD_REJECTED, partition=0, offset=offset, reason="no good")

    assert len(lines(stream)) == EVENTS_IN_WINDOW


def test_logs_are_for_people_on_a_terminal_and_json_elsewhere(stream: io.StringIO) -> None:
    configure(stream)
    get_logger().info(LogEvent.SERVICE_READY, detail="fine")
    assert lines(stream)[0]["event"] == "service_ready"
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    structlog.reset_defaults()
    configure(terminal)
    get_logger().info(LogEvent.SERVICE_READY, detail="fine")
    assert "service_ready" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
