"""Traces begin as the settings and OpenTelemetry's variables say, and an outage of the collector is told once."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from service.errors import SettingsError
from service.settings.tracing import TracingSettings
from service.telemetry.metrics import Metrics
from service.telemetry.redaction import clean
from service.telemetry.tracing.exports import Exports, LastWords
from service.telemetry.tracing.start import Traces

pytestmark = pytest.mark.unit

ON = TracingSettings(enabled=True)


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    names = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
    before = [(logger := logging.getLogger(name), list(logger.handlers), logger.propagate) for name in names]
    yield
    for logger, handlers, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate


@pytest.mark.parametrize(
    ("settings", "environment"),
    [
        (TracingSettings(), {}),
        (ON, {"OTEL_SDK_DISABLED": "true"}),
        (ON, {"OTEL_TRACES_EXPORTER": "none"}),
    ],
)
async def test_traces_are_off_when_either_side_says_so(settings: TracingSettings, environment: dict[str, str]) -> None:
    traces = Traces(settings, Metrics(), environment)
    assert traces.tracer is None
    await traces.close()


def test_nothing_of_the_sdk_is_loaded_while_traces_are_off() -> None:
    code = "import sys, service.app; sys.exit(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "service.telemetry.tracing.sdk", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(SettingsError, match=r'REELWIRE_TRACING__ENABLED: .*pip install "reelwire\[traces\]"'):
        Traces(ON, Metrics(), {})


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER: zipkin is not known here; set otlp, console or none",
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not spoken here"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "OTEL_*: OpenTelemetry's SDK can't be set up"),
    ],
)
def test_what_can_not_be_had_stops_the_start(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Traces(ON, Metrics(), environment)
    assert words in str(raised.value)


async def test_the_start_tells_where_spans_go_and_keeps_the_keys_to_itself() -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:planted-collector-pw@collector.example.com:4318/x?token=planted",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20planted-otlp-header,x-key=planted-other-key",
    }
    with capture_logs() as lines:
        traces = Traces(ON, Metrics(), environment)
        await traces.close()
    assert [line["endpoint"] for line in lines if line["event"] == "tracing"] == [
        "https://collector.example.com:4318/x"
    ]
    assert clean("planted-collector-pw, planted-otlp-header and planted-other-key") == "***, *** and ***"


class _Scripted(SpanExporter):
    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            logging.getLogger("opentelemetry.exporter.otlp").error("Failed to export: %s", "401 Unauthorized")
        return SpanExportResult.SUCCESS if answer else SpanExportResult.FAILURE


def _lines(run: Callable[[], object]) -> list[dict[str, Any]]:
    with capture_logs() as lines:
        run()
    return [dict(line) for line in lines]


def test_an_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    answers = (True, False, RuntimeError("broken"), False, True, True)
    exports = Exports(_Scripted(*answers), metrics, LastWords.listening(), "http://collector")
    batch: Any = [object(), object()]
    lines = _lines(lambda: [exports.export(batch) for _ in answers])
    assert [line["event"] for line in lines] == ["traces_not_sent", "traces_sent_again"]
    assert lines[0]["reason"] == "Failed to export: 401 Unauthorized"
    assert lines[1]["lost"] == 6
    counts = {outcome: metrics.spans.labels(outcome)._value.get() for outcome in ("sent", "failed")}
    assert counts == {"sent": 6, "failed": 6}
    assert caplog.records == []
