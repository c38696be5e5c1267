"""Traces: the one package that knows OpenTelemetry. Everything else sees `Tracer`, `SpanContext` and `called`."""
