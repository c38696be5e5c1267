"""Futures whose owner may never look at them: their errors must not be reported as forgotten."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")


def consume(*futures: asyncio.Future[Any]) -> None:
    """Mark the errors of `futures` as seen, also those still to come."""
    for future in futures:
        future.add_done_callback(_seen)


def fail(future: asyncio.Future[Any], error: BaseException) -> None:
    """Set an error, unless the future is done, and mark it as seen."""
    if not future.done():
        future.set_exception(error)
        future.exception()


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
