"""Errors of the sandbox."""

from __future__ import annotations

from service.errors import ProcessError


class BrokerError(ProcessError):
    """No broker could be started."""


class JarError(BrokerError):
    """A jar of Apache Kafka is missing or is not the one it should be."""


class PortError(BrokerError):
    """No port is free for the broker."""


class ProgramError(ProcessError):
    """A program of the sandbox has ended, or did not become ready in time."""
