"""What the engine tells of a job in its trace. OpenTelemetry itself is behind `service.telemetry.tracing`."""
