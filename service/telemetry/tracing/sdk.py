"""OpenTelemetry's SDK, set up by its own variables `OTEL_*`. Imported only where traces are on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import uuid4

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from service.errors import SettingsError
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics
from service.telemetry.redaction import remember
from service.telemetry.tracing.exports import Exports, LastWords
from service.telemetry.tracing.failures import heard_session
from service.telemetry.tracing.next_ids import ChosenIds
from service.telemetry.tracing.tracer import SpanContext, Tracer
from service.telemetry.tracing.variables import ENDPOINTS, batching, sampler_words
from service.version import VERSION
from service.words import in_words

log = structlog.get_logger()

FLUSH_SECONDS = 5.0
"""Longest wait for the collector when the process ends."""
_FLUSH_IN_OUTAGE_SECONDS = 1.0
"""The same for one that took nothing lately."""

_HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SESSIONS_OF_OTHERS = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
)
_USUAL_ENDPOINT = "http://localhost:4318"


class Export:
    """The provider, and the way to the collector. One per process."""

    def __init__(self, metrics: Metrics, environment: Mapping[str, str] = os.environ) -> None:
        """Begins a thread; connects to nothing yet. Raises `SettingsError` for what `OTEL_*` asks and can't be had."""
        _remember_secrets(environment)
        ids = ChosenIds()
        try:
            words = LastWords.listening()
            exporter = _exporter(environment, words)
            endpoint = _endpoint(environment) if isinstance(exporter, OTLPSpanExporter) else "console"
            resource = _resource(environment)
            self._provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=ids)
            self._exports = Exports(exporter, metrics, words, endpoint)
            queue, batch, delay, patience = batching(environment)
            self._batches = BatchSpanProcessor(self._exports, queue, delay, batch, patience)
        except (ValueError, TypeError, OSError) as error:
            raise SettingsError(
                f"OTEL_*: OpenTelemetry's SDK can't be set up with these variables: {in_words(error)}"
            ) from None
        self._provider.add_span_processor(self._batches)
        self.tracer = Tracer(self._provider.get_tracer("reelwire", VERSION), ids, self._samples)
        log.info(LogEvent.TRACING, endpoint=endpoint, sampler=sampler_words(environment))

    def flush(self) -> None:
        """Send what is there now. Blocks; for programs without an event loop."""
        self._batches.force_flush()

    async def close(self) -> None:
        """Send what is left, for at most `FLUSH_SECONDS`. Never raises."""
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def shut_down() -> None:
            try:
                self._batches.shutdown()  # type: ignore[no-untyped-call]  # the library has it without types
            finally:
                with suppress(RuntimeError):  # the loop is gone: the collector took longer than we waited
                    loop.call_soon_threadsafe(done.set)

        # A thread of its own that nobody joins: a collector that does not answer must not keep the process.
        threading.Thread(target=shut_down, name="traces flush", daemon=True).start()
        seconds = _FLUSH_IN_OUTAGE_SECONDS if self._exports.failing else FLUSH_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        except TimeoutError:
            log.warning(LogEvent.TRACES_CUT, seconds=seconds)

    def _samples(self, parent: SpanContext | None, trace_id: int, name: str) -> bool:
        context = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
        return self._provider.sampler.should_sample(context, trace_id, name).decision is Decision.RECORD_AND_SAMPLE


def _exporter(environment: Mapping[str, str], words: LastWords) -> SpanExporter:
    name = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if name == "console":
        return ConsoleSpanExporter()
    if name != "otlp":
        raise SettingsError(f"OTEL_TRACES_EXPORTER: {name[:40]} is not known here; set otlp, console or none")
    for variable in _PROTOCOLS:
        protocol = environment.get(variable, "").strip()
        if protocol:
            if protocol != "http/protobuf":
                raise SettingsError(
                    f"{variable}: {protocol[:40]} is not spoken here; set http/protobuf, and the collector's port for "
                    "OTLP over HTTP, usually 4318"
                )
            break
    if any(environment.get(name) for name in _SESSIONS_OF_OTHERS):  # the session is that provider's
        return OTLPSpanExporter()
    return OTLPSpanExporter(session=heard_session(words))


def _resource(environment: Mapping[str, str]) -> Resource:
    """Who sends these spans. A name that the operator has given counts."""
    named = "OTEL_SERVICE_NAME" in environment or "service.name" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    known = {"service.version": VERSION, "service.instance.id": str(uuid4())}
    return Resource.create(known if named else {"service.name": "reelwire", **known})


def _endpoint(environment: Mapping[str, str]) -> str:
    """Where spans go, for people: without credentials and query."""
    given = next((environment[name] for name in ENDPOINTS if environment.get(name)), _USUAL_ENDPOINT)
    parts = urlsplit(given)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _remember_secrets(environment: Mapping[str, str]) -> None:
    """Headers for the collector usually hold its key: their values stay out of every log."""
    for variable in _HEADERS:
        for pair in environment.get(variable, "").split(","):
            value = unquote(pair.partition("=")[2].strip())
            remember(value)
            for word in value.split()[1:]:  # behind the name of a scheme, as in `Basic ...`
                remember(word)
    for variable in ENDPOINTS:
        credentials, at, _ = environment.get(variable, "").partition("://")[2].rpartition("@")
        if at:
            remember(credentials.partition(":")[2])
