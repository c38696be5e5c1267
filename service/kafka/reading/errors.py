"""What can be wrong with the bytes of a batch. Raised and caught within this package: readers get `UnreadableRange`."""

from __future__ import annotations

from service.errors import ReelwireError


class BatchBroken(ReelwireError):
    """The bytes are no record batch of Kafka, or were damaged."""


class BatchTooLarge(ReelwireError):
    """The batch holds more than the service takes into memory."""
