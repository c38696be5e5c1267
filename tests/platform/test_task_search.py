"""Whether a task is there: found wherever it is, and "it is not there" only when that is certain."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from service.platform.client import PlatformClient
from service.platform.errors import PlatformError, SearchIncomplete
from service.platform.values import Task
from tests.platform.listing import NOON, Listing, Row, strangers, task_row
from tests.platform.scripted import Scripted

MINE = task_row(1, "mine-0123456789", NOON)
NAME = "mine-0123456789"
URL = "https://media.example.com/a.mp4?x=1&y=ä b"


async def find(platform: Scripted, client: PlatformClient, listing: Listing, **asked: Any) -> Task | None:
    platform.respond = listing.respond
    async with asyncio.timeout(120):
        given: dict[str, Any] = {"asset_id": "a1", "created_after": NOON - 300}
        return await client.find_task(NAME, **given | asked)


async def found(platform: Scripted, client: PlatformClient, listing: Listing, **asked: Any) -> bool:
    task = await find(platform, client, listing, **asked)
    assert task is None or task.id == "t1"
    return task is not None


@pytest.mark.parametrize("newer", [0, 49, 50, 130, 1_000])
async def test_it_is_found_on_any_page(platform: Scripted, client: PlatformClient, newer: int) -> None:
    listing = Listing([*strangers(newer, NOON + newer), MINE, *strangers(80, NOON - 1, first=9_000_000)])
    assert await found(platform, client, listing, asset_id=None)


async def test_the_narrowest_filter_is_asked_first_and_is_enough(platform: Scripted, client: PlatformClient) -> None:
    listing = Listing([*strangers(500, NOON + 500), MINE])
    assert await found(platform, client, listing)
    assert listing.reads == [{"asset_id": "a1", "page": "1", "page_limit": "50"}]


async def test_a_video_by_url_is_filtered_by_it(platform: Scripted, client: PlatformClient) -> None:
    mine = MINE | {"video_source": {"type": "url", "url": URL}}
    listing = Listing([*strangers(99, NOON + 99), mine])
    assert await found(platform, client, listing, asset_id=None, video_url=URL)
    assert [read["video_url"] for read in listing.reads] == [URL]


async def test_an_address_too_long_for_a_filter_does_without(platform: Scripted, client: PlatformClient) -> None:
    url = "https://media.example.com/" + "x" * 8_000
    listing = Listing([MINE | {"video_source": {"type": "url", "url": url}}])
    assert await found(platform, client, listing, asset_id=None, video_url=url)
    assert not [read for read in listing.reads if "video_url" in read]


async def test_a_filter_that_works_and_shows_nothing_is_believed(platform: Scripted, client: PlatformClient) -> None:
    listing = Listing([task_row(7, "an-earlier-one", NOON - 10), *strangers(99, NOON + 99)])
    assert not await found(platform, client, listing)
    assert {read.get("asset_id") for read in listing.reads} == {"a1"}


@pytest.mark.parametrize("filters", [(), ("status",), ("analysis_mode",)])
async def test_a_platform_may_ignore_its_filters(
    platform: Scripted, client: PlatformClient, filters: tuple[str, ...]
) -> None:
    rows = strangers(120, NOON + 120)
    assert await found(platform, client, Listing([*rows, MINE], filters))
    assert not await found(platform, client, Listing(rows, filters))


async def test_a_filter_that_hides_it_is_not_believed(platform: Scripted, client: PlatformClient) -> None:
    mine = MINE | {"video_source": {"type": "url"}}  # the platform tells the source otherwise than it was given
    assert await found(platform, client, Listing([*strangers(120, NOON + 120), mine]))


@pytest.mark.parametrize("totals", [True, False])
@pytest.mark.parametrize(("added", "removed"), [(1, 0), (30, 0), (200, 0), (0, 1), (0, 20), (3, 9), (9, 3)])
async def test_a_list_that_moves_while_it_is_read_hides_nothing(
    platform: Scripted, client: PlatformClient, added: int, removed: int, *, totals: bool
) -> None:
    listing = Listing([*strangers(700, NOON + 700), MINE, *strangers(300, NOON - 1, first=9_000_000)], totals=totals)

    def move(reads: int, _page: int) -> None:
        if reads > 60:
            return
        place = listing.rows.index(MINE)
        del listing.rows[: min(removed, place)]
        listing.rows[:0] = strangers(added, NOON + 10_000 + reads, first=2_000_000 + 1_000 * reads)

    listing.before = move
    assert await found(platform, client, listing, asset_id=None)


async def test_rows_that_are_too_old_end_the_search(platform: Scripted, client: PlatformClient) -> None:
    listing = Listing([*strangers(60, NOON), *strangers(20_000, NOON - 301, first=9_000_000)])
    assert not await found(platform, client, listing, asset_id=None)
    assert len(listing.reads) <= 4


async def test_one_old_row_among_newer_ones_does_not(platform: Scripted, client: PlatformClient) -> None:
    rows = [*strangers(20, NOON + 20), task_row(5, "old", NOON - 9_999), *strangers(60, NOON), MINE]
    assert await found(platform, client, Listing(rows), asset_id=None)


async def test_a_list_with_the_oldest_first_is_read_to_its_end(platform: Scripted, client: PlatformClient) -> None:
    rows = [*strangers(120, NOON + 120), MINE, *strangers(300, NOON - 1_000, first=9_000_000)]
    assert await found(platform, client, Listing(rows[::-1]), asset_id=None)


@pytest.mark.parametrize("totals", [True, False])
async def test_behind_more_tasks_than_can_be_read_it_is_found_from_the_other_side(
    platform: Scripted, client: PlatformClient, *, totals: bool
) -> None:
    rows = [*strangers(30_000, NOON + 30_000), MINE, *strangers(40_000, NOON - 1, first=9_000_000)]
    listing = Listing(rows, totals=totals)
    assert await found(platform, client, listing, asset_id=None)
    assert len(listing.reads) < 600


async def test_behind_more_tasks_than_can_be_read_it_is_found_by_its_status(
    platform: Scripted, client: PlatformClient
) -> None:
    ended = strangers(45_000, NOON + 45_000)
    for row in ended:
        row["status"] = "ready"
    mine = task_row(1, NAME, NOON + 22_000, status="processing")
    listing = Listing([*ended[:23_000], mine, *ended[23_000:], *strangers(99, NOON - 301, first=9_000_000)])
    assert await found(platform, client, listing, asset_id=None)


async def test_behind_more_tasks_than_can_be_read_it_is_not_called_absent(
    platform: Scripted, client: PlatformClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.platform.walk.MAX_PAGES", 20)
    listing = Listing([*strangers(4_500, NOON + 4_500), *strangers(99, NOON - 301, first=9_000_000)])
    with pytest.raises(SearchIncomplete):
        await find(platform, client, listing, asset_id=None)
    assert len(listing.reads) < 400


async def test_a_list_without_end_is_not_called_empty(
    platform: Scripted, client: PlatformClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.platform.walk.MAX_PAGES", 5)
    listing = Listing([], page_of=lambda rows, page, limit: {"data": strangers(1, NOON + 9, first=page)})
    with pytest.raises(SearchIncomplete):
        await find(platform, client, listing)


async def test_two_readings_that_meet_are_complete(
    platform: Scripted, client: PlatformClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.platform.walk.MAX_PAGES", 5)
    rows = [*strangers(400, NOON + 400), *strangers(500, NOON - 301, first=9_000_000)]
    assert not await found(platform, client, Listing(rows), asset_id=None)


async def test_an_empty_page_is_no_end_while_more_are_promised(platform: Scripted, client: PlatformClient) -> None:
    rows = [*strangers(60, NOON + 60), MINE]

    def hole(found: list[Row], page: int, limit: int) -> Any:
        shown = [] if page == 1 else found[(page - 2) * limit : (page - 1) * limit]
        return {"data": shown, "page_info": {"page": page, "total_page": 3, "total_results": len(found)}}

    assert await found(platform, client, Listing(rows, page_of=hole), asset_id=None)
    with pytest.raises(SearchIncomplete):
        await find(platform, client, Listing(rows[:-1], page_of=hole), asset_id=None)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"data":"x"}',
        b'{"data":{}}',
        b"[]",
        b"",
        b"<html>",
        b'{"data":[null]}',
        b'{"data":["t1"]}',
        b'{"data":[{"status":"queued"}]}',
        b'{"data":[{"task_id":17}]}',
        b'{"data":[],"page_info":{"total_page":9}}',
        b'{"data":[],"page_info":{"total_results":1}}',
    ],
)
async def test_a_page_that_can_not_be_read_is_not_an_empty_one(
    platform: Scripted, client: PlatformClient, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.platform.walk.MAX_PAGES", 5)
    listing = Listing([], page_of=lambda rows, page, limit: body if page == 1 else {"data": []})
    with pytest.raises(PlatformError):
        await find(platform, client, listing)


async def test_pages_may_come_without_any_information(platform: Scripted, client: PlatformClient) -> None:
    ends: list[Any] = [{"data": None}, {"data": []}, {"data": [], "page_info": None}, {"data": [], "page_info": [1]}]
    for end in ends:
        platform.seen.clear()
        assert not await found(platform, client, Listing([], page_of=lambda *_, shown=end: shown))


def _renamed(custom_id: Any) -> Row:
    return MINE | {"custom_id": custom_id}


ABSENT = {name: value for name, value in MINE.items() if name != "custom_id"}


@pytest.mark.parametrize("shown", [_renamed(NAME[:8]), _renamed(""), _renamed(17), ABSENT])
async def test_a_name_that_is_cut_or_left_out_in_the_list_is_looked_up(
    platform: Scripted, client: PlatformClient, shown: Row
) -> None:
    assert await found(platform, client, Listing([shown], details={"t1": MINE}))
    assert not await found(platform, client, Listing([shown], details={"t1": _renamed("another")}))
    assert not await found(platform, client, Listing([shown], details={"t1": _renamed(None)}))
    assert not await found(platform, client, Listing([shown]))  # it was deleted meanwhile
    with pytest.raises(SearchIncomplete):
        await find(platform, client, Listing([shown], details={"t1": shown}))


async def test_no_more_details_are_asked_for_than_a_few(platform: Scripted, client: PlatformClient) -> None:
    rows = [task_row(n, "m", NOON) for n in range(2, 60)]
    details = {row["task_id"]: row | {"custom_id": "another"} for row in rows}
    listing = Listing(rows, details=details)
    with pytest.raises(SearchIncomplete):
        await find(platform, client, listing)
    assert len(platform.seen) - len(listing.reads) == 20


@pytest.mark.parametrize("shown", [None, "other", "mine-0123456789x", "Mine-0123456789"])
async def test_a_task_of_another_name_is_not_ours(platform: Scripted, client: PlatformClient, shown: Any) -> None:
    assert not await found(platform, client, Listing([_renamed(shown)], details={"t1": MINE}))


@pytest.mark.parametrize("created", ["never", None, 17, "0001-01-01T00:00:00Z" * 99, "9999-12-31T23:59:59-23:59"])
async def test_a_time_that_makes_no_sense_hides_no_task(
    platform: Scripted, client: PlatformClient, created: Any
) -> None:
    rows = [row | {"created_at": created} for row in [*strangers(60, NOON + 60), MINE]]
    assert await found(platform, client, Listing(rows))


@pytest.mark.parametrize("offset", [-7_200.0, -200.0, 0.0, 7_200.0])
async def test_the_platforms_clock_may_be_wrong(platform: Scripted, client: PlatformClient, offset: float) -> None:
    """Also for a process that has not made a call yet: the pages themselves tell the platform's time."""
    rows = [*strangers(80, NOON + offset + 80), task_row(1, NAME, NOON + offset)]
    assert await found(platform, client, Listing(rows, clock_offset=offset), asset_id=None)


@pytest.mark.parametrize("behind", [600.0, 7_200.0, 70_000.0])
async def test_a_claim_by_a_clock_that_ran_fast_hides_no_task(
    platform: Scripted, client: PlatformClient, behind: float
) -> None:
    """The name says whose it is, not the age; and the list of a video is read a day back."""
    mine = task_row(1, NAME, NOON - behind)
    assert await found(platform, client, Listing([mine]), asset_id=None)
    others = [task_row(n, f"other-{n}", NOON - 400 - n) for n in range(2, 120)]
    rows = sorted([mine, *others], key=lambda row: str(row["created_at"]), reverse=True)
    assert await found(platform, client, Listing(rows, clock_offset=0.0))


async def test_half_of_an_emoji_in_anybodys_row_hides_nothing(platform: Scripted, client: PlatformClient) -> None:
    body = b'{"data":[{"task_id":"t9","custom_id":"\\ud83d","status":"ready"},' + orjson.dumps(MINE) + b"]}"
    listing = Listing([], page_of=lambda rows, page, limit: body if page == 1 else {"data": []})
    assert await found(platform, client, listing)
