"""Pages of a list. They are counted from 1; beyond the last one they are empty, which the official SDK relies on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from multidict import MultiMapping

from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.refusals import invalid

T = TypeVar("T")
_DEFAULT, _MOST = 10, 50
_MOST_PAGES = 1_000_000_000


@behaves(
    "pages.beyond_the_end",
    "A page beyond the last is 200 with no rows.",
    KnownFrom.SDK,
    test="http/test_asset_routes.py::test_a_page_beyond_the_last_is_empty",
    on=(
        "asset_list",
        "task_list",
        "upload_list",
        "upload_get",
    ),
    item=2,
)
@behaves(
    "pages.limits",
    "`page` counts from 1; `page_limit` is 10, at most 50. Anything else is 400.",
    KnownFrom.DOCUMENTED,
    test="http/test_behaviours.py::test_pages_have_at_most_fifty_rows",
    on=(
        "asset_list",
        "task_list",
    ),
    item=2,
)
def page_of(found: Sequence[T], query: MultiMapping[str]) -> tuple[Sequence[T], dict[str, Any]]:
    """The requested page of `found`, and its `page_info`. Raises `Refusal` for a wrong page number."""
    page = _whole(query, "page", 1, _MOST_PAGES)
    limit = _whole(query, "page_limit", _DEFAULT, _MOST)
    info = {
        "page": page,
        "limit_per_page": limit,
        "total_page": -(-len(found) // limit),
        "total_results": len(found),
    }
    return found[(page - 1) * limit : page * limit], info


def _whole(query: MultiMapping[str], name: str, default: int, most: int) -> int:
    given = query.get(name)
    if not given:
        return default
    whole = given.isascii() and given.isdigit() and len(given) <= len(str(_MOST_PAGES))
    if not whole or not 1 <= int(given) <= most:
        raise invalid(f"The {name} parameter must be a whole number from 1 to {most}.")
    return int(given)
