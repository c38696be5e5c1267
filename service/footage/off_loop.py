"""Threads of our own for files: a network mount that hangs must not hold up what else uses the default ones (DNS)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="footage")


def off_loop(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Run `function` in a thread."""
    return asyncio.get_running_loop().run_in_executor(_threads, lambda: function(*args, **kwargs))
