"""The section of traces. Where they go, and how many, OpenTelemetry's own variables say."""

from __future__ import annotations

from pydantic import Field

from service.settings.section import Section


class TracingSettings(Section):
    """Traces by OpenTelemetry; where to and how many is said by its own variables `OTEL_*`."""

    enabled: bool = Field(
        default=False,
        description="Write a trace of each job and send it over OTLP; needs the extra `traces` (the image has it).",
    )
