"""Begins traces when they are asked for. While they are off, nothing of the SDK is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from service.errors import SettingsError
from service.settings.tracing import TracingSettings
from service.telemetry.metrics import Metrics
from service.telemetry.tracing.variables import check_variables

if TYPE_CHECKING:
    from service.telemetry.tracing.tracer import Tracer


class Traces:
    """The traces of one process. `tracer` is None while they are off."""

    def __init__(
        self, settings: TracingSettings, metrics: Metrics, environment: Mapping[str, str] = os.environ
    ) -> None:
        """Raises `SettingsError` when the extra is not installed, or a variable `OTEL_*` is wrong."""
        self._export = None
        self.tracer: Tracer | None = None
        if not settings.enabled or _switched_off(environment):
            return
        check_variables(environment)  # before the import: the SDK reads some of them there
        try:
            from service.telemetry.tracing.sdk import Export
        except ImportError as error:
            if not (error.name or "").startswith("opentelemetry"):
                raise
            raise SettingsError(
                "REELWIRE_TRACING__ENABLED: traces need OpenTelemetry's SDK, which is not installed; "
                'install it with pip install "reelwire[traces]", or switch traces off'
            ) from None
        self._export = Export(metrics, environment)
        self.tracer = self._export.tracer

    async def close(self) -> None:
        """Send what is left, bounded in time. Never raises."""
        if self._export is not None:
            await self._export.close()


def _switched_off(environment: Mapping[str, str]) -> bool:
    """OpenTelemetry's own switches, which operators may set for a whole fleet."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
