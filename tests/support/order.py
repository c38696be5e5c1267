"""The order in which workers take the files of tests."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

_WAITING = ("crash", "acceptance", "integration")
"""Markers, by how long their tests last. Most of it is waiting: for processes, brokers and timeouts."""


def waiting_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Files with the longest tests first; a file's tests stay together and in their order.

    A long file that is begun last would keep one worker busy while the others have nothing to do.
    """
    ranks: dict[str, int] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        ranks[file] = min(ranks.get(file, len(_WAITING)), _rank(item))
    return sorted(items, key=lambda item: ranks[item.nodeid.partition("::")[0]])


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, name in enumerate(_WAITING) if item.get_closest_marker(name)), len(_WAITING))
