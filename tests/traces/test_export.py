"""Traces begin as the settings and OpenTelemetry's variables say, and an outage of the collector is told once."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import _KNOWN_SAMPLERS
from structlog.testing import capture_logs

from service.errors import SettingsError
from service.settings.tracing import TracingSettings
from service.telemetry.metrics import Metrics
from service.telemetry.redaction import clean
from service.telemetry.tracing.exports import Exports, LastWords
from service.telemetry.tracing.failures import heard_session
from service.telemetry.tracing.start import Traces
from service.telemetry.tracing.variables import SAMPLERS, batching, check_variables, sampler_words

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
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "OTEL_EXPORTER_OTLP_ENDPOINT: [::1 is no host and port"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:many"}, "collector:many is no host and port"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: the address must begin with"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "write http://collector:4318"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "grpc://u:planted@collector:1?k=planted"}, "write http://collector:1"),
        (
            {"OTEL_TRACES_SAMPLER": "sometimes"},
            "OTEL_TRACES_SAMPLER: sometimes is not known here; set one of always_on, always_off, traceidratio, parent",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"},
            "OTEL_TRACES_SAMPLER_ARG: 10% is no ratio for traceidratio; set a number from 0 to 1, such as 0.1",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"},
            "OTEL_TRACES_SAMPLER_ARG: nan is no ratio",
        ),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "abc"},
            "OTEL_BSP_MAX_QUEUE_SIZE: abc can't be used; set a whole number of spans from 1, such as 2048",
        ),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "0"}, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 0 can't be used"),
        (
            {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4096"},
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 4096 is more than OTEL_BSP_MAX_QUEUE_SIZE, which is 2048",
        ),
        ({"OTEL_BSP_SCHEDULE_DELAY": "5s"}, "OTEL_BSP_SCHEDULE_DELAY: 5s can't be used; set a whole number of milli"),
        ({"OTEL_BSP_EXPORT_TIMEOUT": "-1"}, "OTEL_BSP_EXPORT_TIMEOUT: -1 can't be used"),
        (
            {"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"},
            "OTEL_EXPORTER_OTLP_TIMEOUT: 10s is no time in seconds; set a number above 0, such as 10",
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "inf"}, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: inf is no time"),
        ({"OTEL_SPAN_EVENT_COUNT_LIMIT": "many"}, "OTEL_SPAN_EVENT_COUNT_LIMIT: many can't be used"),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "-5"}, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: -5 can't be used"),
    ],
)
def test_what_can_not_be_had_stops_the_start(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Traces(ON, Metrics(), environment)
    assert words in str(raised.value)
    assert "planted" not in str(raised.value)


def test_what_the_sdk_reads_at_its_import_is_refused_before_that() -> None:
    """In a process that has not loaded the SDK, and with the variable where the SDK looks for it."""
    code = (
        "from service.telemetry.tracing.start import Traces; from service.telemetry.metrics import Metrics\n"
        "from service.settings.tracing import TracingSettings; Traces(TracingSettings(enabled=True), Metrics())"
    )
    environment = os.environ | {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"}
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment)
    assert "SettingsError: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: many can't be used" in ended.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {},
        dict.fromkeys(("OTEL_TRACES_SAMPLER", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_EXPORTER_OTLP_ENDPOINT"), ""),
        {"OTEL_TRACES_SAMPLER_ARG": "for another sampler", "OTEL_BSP_MAX_QUEUE_SIZE": "100"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
        {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "HTTPS://[::1]:4318/v1/traces",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
            "OTEL_SPAN_LINK_COUNT_LIMIT": "0",
        },
    ],
)
def test_what_the_sdk_takes_is_taken(environment: dict[str, str]) -> None:
    check_variables(environment)


@pytest.mark.parametrize(
    ("environment", "sampler"),
    [
        ({}, "parentbased_always_on"),
        ({"OTEL_TRACES_SAMPLER": "Always_Off"}, "always_off"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, "traceidratio 0.1"),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}, "parentbased_traceidratio 1.0"),
    ],
)
def test_a_sampler_is_shown_by_its_name(environment: dict[str, str], sampler: str) -> None:
    assert sampler_words(environment) == sampler


def test_a_queue_smaller_than_a_batch_makes_the_batch_smaller() -> None:
    assert batching({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}) == (100, 100, 5000, 30_000)


def test_the_samplers_are_those_of_the_sdk() -> None:
    assert set(SAMPLERS) == set(_KNOWN_SAMPLERS)


async def test_the_start_tells_where_spans_go_and_keeps_the_keys_to_itself() -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:planted-collector-pw@collector.example.com:4318/x?token=planted",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20planted-otlp-header,x-key=planted-other-key",
    }
    with capture_logs() as lines:
        traces = Traces(ON, Metrics(), environment)
        await traces.close()
    [line] = [line for line in lines if line["event"] == "tracing"]
    assert (line["endpoint"], line["sampler"]) == ("https://collector.example.com:4318/x", "parentbased_always_on")
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


def _refusal(exporter: SpanExporter, words: LastWords) -> str:
    exports = Exports(exporter, Metrics(), words, "http://collector")
    lines = _lines(lambda: exports.export([]))
    exports.shutdown()
    return str(next(line["reason"] for line in lines if line["event"] == "traces_not_sent"))


def test_a_collector_that_is_not_there_is_told_with_the_systems_reason() -> None:
    words = LastWords.listening()
    with socket.socket() as nobody:  # bound, and never listening: nobody else can take its port
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1/traces"
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=0.5, session=heard_session(words))
        assert _refusal(exporter, words) == "no connection to the collector: Connection refused"


def test_a_collector_that_says_nothing_is_told_as_that() -> None:
    words = LastWords.listening()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=0.2, session=heard_session(words))
        assert _refusal(exporter, words) == "the collector gave no answer in time"
