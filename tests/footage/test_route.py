"""The way of a video to the platform: every kind, size and reachability in one table."""

from __future__ import annotations

import pytest

from contracts.platform_limits import DIRECT_UPLOAD_BYTES, MULTIPART_UPLOAD_BYTES, URL_UPLOAD_BYTES
from service.footage.route import NoRoute, Route, Source, choose_route

pytestmark = pytest.mark.unit

FROM = 1_000
REACHED, OURS, PARTS = {"reachable": True}, {"ranged": False}, {"ranged": True}
BOTH = REACHED | PARTS

TABLE = [
    # kind, size, what can be done with it, inline, route (None: there is none)
    ("asset_id", None, OURS, False, Route.GIVEN),
    ("asset_id", None, OURS, True, Route.GIVEN),
    ("url", None, REACHED, False, Route.URL),
    ("url", None, REACHED, True, Route.INLINE),
    ("base64_string", 10, OURS, False, Route.DIRECT),
    ("base64_string", FROM + 1, OURS, False, Route.DIRECT),
    ("base64_string", DIRECT_UPLOAD_BYTES + 1, OURS, False, None),
    ("base64_string", 10, OURS, True, Route.INLINE),
    ("file", 1, PARTS, False, Route.DIRECT),
    ("file", FROM, PARTS, False, Route.DIRECT),
    ("file", FROM + 1, PARTS, False, Route.MULTIPART),
    ("file", DIRECT_UPLOAD_BYTES + 1, PARTS, False, Route.MULTIPART),
    ("file", MULTIPART_UPLOAD_BYTES, PARTS, False, Route.MULTIPART),
    ("file", MULTIPART_UPLOAD_BYTES + 1, PARTS, False, None),
    ("object", 10, BOTH, False, Route.URL),
    ("object", URL_UPLOAD_BYTES, BOTH, False, Route.URL),
    ("object", URL_UPLOAD_BYTES + 1, BOTH, False, Route.MULTIPART),
    ("object", MULTIPART_UPLOAD_BYTES + 1, BOTH, False, None),
    ("object", FROM, PARTS, False, Route.DIRECT),
    ("object", FROM + 1, PARTS, False, Route.MULTIPART),
    ("object", None, PARTS, False, None),
    ("object", None, REACHED, False, Route.URL),
    ("object", DIRECT_UPLOAD_BYTES, OURS, False, Route.DIRECT),
    ("object", DIRECT_UPLOAD_BYTES + 1, OURS, False, None),
    ("object", 10, BOTH, True, Route.INLINE),
]


@pytest.mark.parametrize(("kind", "size", "means", "inline", "route"), TABLE)
def test_each_video_has_its_way(
    kind: str, size: int | None, means: dict[str, bool], inline: bool, route: Route
) -> None:
    source = Source(kind, size, **means)  # type: ignore[arg-type]
    found = choose_route(source, inline=inline, session_from_bytes=FROM)

    assert (None if isinstance(found, NoRoute) else found) == route


def test_no_setting_sends_more_in_one_request_than_the_platform_takes() -> None:
    source = Source("file", DIRECT_UPLOAD_BYTES + 1, ranged=True)

    assert choose_route(source, inline=False, session_from_bytes=10**12) is Route.MULTIPART


def test_why_there_is_no_way_is_said_with_the_sizes() -> None:
    found = choose_route(Source("file", 10**11, ranged=True), inline=False, session_from_bytes=FROM)

    assert isinstance(found, NoRoute)
    assert "100000000000" in found.message
    assert str(MULTIPART_UPLOAD_BYTES) in found.message
