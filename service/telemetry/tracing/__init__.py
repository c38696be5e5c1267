"""Traces: the one place that knows OpenTelemetry. Everything else sees `Tracer`, `Place` and `called`."""
