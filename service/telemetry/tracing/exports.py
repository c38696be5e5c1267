"""What leaves the process: counted, and an outage of the collector told once. Needs the SDK, the extra `traces`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics
from service.words import in_words

log = structlog.get_logger()

_EXPORTERS = "opentelemetry.exporter"
_QUEUE = "opentelemetry.sdk._shared_internal"


class LastWords(logging.Handler):
    """Keeps the last line that the exporters' library has logged: it is the reason of a failure.

    The library writes several lines for each batch, and these are thousands in an outage. None of them is logged.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        self.cause = ""
        """How the last request to the collector failed, from `failures.py`: it says more than `text`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.text = record.getMessage()
        except (TypeError, ValueError):
            self.text = str(record.msg)

    @classmethod
    def listening(cls) -> LastWords:
        """One that has taken the place of the log for these libraries. Called once, at the start."""
        words = cls()
        for name in (_EXPORTERS, _QUEUE):
            logger = logging.getLogger(name)
            logger.handlers = [words]
            logger.propagate = False
        return words


class Exports(SpanExporter):
    """Sends through `inner`. Called by the SDK's own thread; it may block that for as long as `inner` does."""

    def __init__(self, inner: SpanExporter, metrics: Metrics, words: LastWords, endpoint: str) -> None:
        self._inner = inner
        self._sent = metrics.spans.labels("sent")
        self._failed = metrics.spans.labels("failed")
        self._words = words
        self._endpoint = endpoint
        self._failing = 0

    @property
    def failing(self) -> bool:
        """Whether the last batch was not taken."""
        return self._failing > 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch. What can't be sent is lost, and counted."""
        self._words.text = self._words.cause = ""
        reason = ""
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 -- the library's thread would only log it
            result, reason = SpanExportResult.FAILURE, in_words(error)
        if result is SpanExportResult.SUCCESS:
            self._sent.inc(len(spans))
            if self._failing:
                log.info(LogEvent.TRACES_SENT_AGAIN, endpoint=self._endpoint, lost=self._failing)
                self._failing = 0
            return result
        self._failed.inc(len(spans))
        if not self._failing:
            log.warning(
                LogEvent.TRACES_NOT_SENT,
                endpoint=self._endpoint,
                reason=reason or self._words.cause or self._words.text or "the collector gave no answer",
                todo="check the collector and OTEL_EXPORTER_OTLP_ENDPOINT; requests are served all the same",
            )
        self._failing += len(spans)
        return result

    def shutdown(self) -> None:
        """No more batches."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held here."""
        return self._inner.force_flush(timeout_millis)
