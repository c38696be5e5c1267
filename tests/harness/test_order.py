"""Workers begin with the files whose tests last the longest."""

from __future__ import annotations

import pytest

from tests.support.order import waiting_first

pytestmark = pytest.mark.unit


class Item(pytest.Item):
    def runtest(self) -> None: ...


def item(session: pytest.Session, place: str, *markers: str) -> pytest.Item:
    made: pytest.Item = Item.from_parent(session, name=place, nodeid=place)
    for marker in markers:
        made.add_marker(marker)
    return made


def test_files_that_wait_go_first_and_stay_whole(request: pytest.FixtureRequest) -> None:
    places = [
        ("a.py::pure", ("unit",)),
        ("b.py::real", ("integration",)),
        ("c.py::pure", ("unit",)),
        ("c.py::whole", ("acceptance",)),
        ("d.py::plain", ()),
        ("e.py::killed", ("crash",)),
    ]
    ordered = waiting_first([item(request.session, place, *markers) for place, markers in places])
    assert [one.nodeid for one in ordered] == [
        "e.py::killed",
        "c.py::pure",
        "c.py::whole",
        "b.py::real",
        "a.py::pure",
        "d.py::plain",
    ]
