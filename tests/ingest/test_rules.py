"""Rules: which videos they are for, the requests they make, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from service.errors import SettingsError
from service.ingest.notifications.arrival import Arrival
from service.ingest.rules.reading import Rules, read_rules, rules_for_folder
from service.ingest.rules.recorded import RecordedAt
from service.ingest.rules.request import RuleFault

pytestmark = pytest.mark.unit

MAX_BYTES = 1024 * 1024


def _rules(folder: Path, *tables: str, head: str = "") -> Rules:
    file = folder / "rules.toml"
    file.write_text(head + "".join(f"\n[[rules]]\n{table}\n" for table in tables))
    return read_rules(file, max_bytes=MAX_BYTES)


def _object(key: str = "cams/cam7/a.mp4", **members: Any) -> Arrival:
    bucket = members.pop("bucket", "footage")
    return Arrival("s3", bucket, key, **{"version": "e1", "size": 10, "uri": f"s3://{bucket}/{key}", **members})


def _body(rules: Rules, arrival: Arrival) -> dict[str, Any]:
    planned = rules.of(arrival)
    assert planned is not None
    found: dict[str, Any] = orjson.loads(planned.value)
    return found


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    rules = _rules(
        tmp_path,
        'name = "night"\nprefix = "cams/"\nmatch = "/night/"\nprompt = "Who?"\npriority = "high"',
        'name = "cams"\nbucket = "foot*"\nprefix = "cams/"\nsuffix = [".mp4", ".MKV"]\nprompt = "What?"',
    )

    assert _body(rules, _object("cams/night/a.mp4"))["priority"] == "high"
    assert _body(rules, _object("cams/day/a.mkv"))["prompt"] == "What?"
    assert rules.of(_object("cams/day/a.txt")) is None
    assert rules.of(_object("other/a.mp4")) is None
    assert rules.of(_object(bucket="archive")) is None


def test_a_request_has_what_the_rule_says(tmp_path: Path) -> None:
    (tmp_path / "incident.json").write_text('{"type": "object", "properties": {"what": {"type": "string"}}}')
    rules = _rules(
        tmp_path,
        """name = "cams"
match = 'cams/(?P<camera>[^/]+)/(?P<site>[a-z]+)_'
prompt = "What?"
mode = "async"
tenant = "site-{site}"
key = "{camera}"
response_format = "incident.json"
recorded_at = { pattern = "%Y%m%d_%H%M%S", zone = "Europe/Berlin" }
options = { max_tokens = 600, on_interrupt = "fail" }
metadata = { camera = "{camera}", floor = 3 }""",
    )
    planned = rules.of(_object("cams/cam7/dock_20260701_101500.mp4", event_at=1.0))
    assert planned is not None
    body = orjson.loads(planned.value)

    assert planned.key == "cam7"
    assert body["tenant"] == "site-dock"
    assert body["recorded_at"] == "2026-07-01T08:15:00.000Z"
    assert (body["mode"], body["max_tokens"], body["on_interrupt"]) == ("async", 600, "fail")
    assert body["response_format"]["type"] == "json_schema"
    assert body["video"] == {"type": "object", "uri": "s3://footage/cams/cam7/dock_20260701_101500.mp4"}
    assert body["metadata"] == {
        "camera": "cam7",
        "floor": 3,
        "ingest": {
            "rule": "cams",
            "source": "s3",
            "bucket": "footage",
            "key": "cams/cam7/dock_20260701_101500.mp4",
            "version": "e1",
            "bytes": 10,
            "event_at": "1970-01-01T00:00:01.000Z",
        },
    }


def test_the_id_names_the_version_and_not_the_notification(tmp_path: Path) -> None:
    rules = _rules(tmp_path, 'name = "a"\nprompt = "What?"\nrecorded_at = { event = true }')
    ids = [
        _body(rules, one)["request_id"]
        for one in (_object(event_at=1.0), _object(event_at=2.0), _object(version="e2"), _object("cams/b.mp4"))
    ]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_clip_of_frigate_is_named_by_a_template(tmp_path: Path) -> None:
    rules = _rules(
        tmp_path,
        """name = "people"
source = "frigate"
where = { label = ["person", "dog"], zones = "porch" }
video = "https://nvr.example.com/api/events/{id}/clip.mp4"
key = "{camera}"
prompt = "What does the {label} do?"
recorded_at = { event = true }""",
    )
    fields = {"id": "17.5-a", "camera": "door", "label": "person", "zones": "street,porch"}
    clip = Arrival("frigate", "door", "17.5-a", version="17.5-a", event_at=17.5, fields=fields)
    body = _body(rules, clip)

    assert body["video"] == {"type": "url", "url": "https://nvr.example.com/api/events/17.5-a/clip.mp4"}
    assert body["recorded_at"] == "1970-01-01T00:00:17.500Z"
    assert body["prompt"] == "What does the {label} do?"  # prompts are no templates
    for other in ({**fields, "label": "cat"}, {**fields, "zones": "street"}):
        assert rules.of(Arrival("frigate", "door", "1", fields=other)) is None


@pytest.mark.parametrize("event_id", ["../../admin", "..", "a/b", "a\\b", "", "a\nb"])
@pytest.mark.parametrize("video", ["https://nvr.example.com/{id}/clip.mp4", "/recordings/{id}/clip.mp4"])
def test_an_event_can_not_lead_a_video_elsewhere(tmp_path: Path, event_id: str, video: str) -> None:
    rules = _rules(tmp_path, f'name = "a"\nsource = "frigate"\nvideo = "{video}"\nprompt = "What?"')

    with pytest.raises(RuleFault, match="one part of a path"):
        rules.of(Arrival("frigate", "door", "1", fields={"id": event_id}))


def test_what_is_put_into_a_path_may_have_any_space(tmp_path: Path) -> None:
    rules = _rules(tmp_path, 'name = "a"\nsource = "frigate"\nvideo = "/clips/{id}.mp4"\nprompt = "What?"')
    event = Arrival("frigate", "cam", "a\u202fb\u3000c", version="1", fields={"id": "a\u202fb\u3000c"})
    assert _body(rules, event)["video"] == {"type": "file", "path": "/clips/a\u202fb\u3000c.mp4"}


def test_what_stands_in_a_url_is_encoded(tmp_path: Path) -> None:
    rules = _rules(tmp_path, 'name = "a"\nsource = "frigate"\nvideo = "https://nvr.example.com/{id}"\nprompt = "What?"')

    body = _body(rules, Arrival("frigate", "door", "1", fields={"id": "a?b#c&d e%2F"}))
    assert body["video"]["url"] == "https://nvr.example.com/a%3Fb%23c%26d%20e%252F"


def test_a_request_that_the_service_would_refuse_is_a_fault_that_names_the_rule(tmp_path: Path) -> None:
    rules = _rules(tmp_path, 'name = "a"\nprompt = "What?"\ntenant = "{name}"')

    with pytest.raises(RuleFault, match=r"rule a: the request is not valid: tenant: must be 1 to 64 letters"):
        rules.of(_object("cams/a b.mp4"))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('name = "a"\nprompt = "x"\nmode = "fast"', "rule a: mode: must be 'stream', 'sync', 'async' or 'auto'"),
        (
            'name = "a"\nprompt = "x"\nmax_tokens = 5',
            "rule a: max_tokens: is not known here; members of the request stand",
        ),
        ('prompt = "x"', "rule number 1: name: is required"),
        ('name = "a"', "rule a: the request is not valid: prompt: is required"),
        ('name = "a"\nprompt = "x"\nkey = "{cam}"', "rule a: key: there is no {cam}; known are"),
        ('name = "a"\nprompt = "x"\nmatch = "("', "rule a: match: is no regular expression"),
        ('name = "a"\nprompt = "x"\nglob = "[a"', "rule a: glob: is no glob"),
        ('name = "a"\nprompt = "x"\noptions = { max_token = 5 }', "rule a: options.max_token: a request has no such"),
        ('name = "a"\nprompt = "x"\noptions = { tenant = "t" }', "rule a: options.tenant: stands beside"),
        ('name = "a"\nprompt = "x"\nrecorded_at = { zone = "UTC" }', "rule a: recorded_at: must have exactly one"),
        (
            'name = "a"\nprompt = "x"\nrecorded_at = { event = true, zone = "Mars" }',
            "rule a: recorded_at.zone: must be a",
        ),
        (
            'name = "a"\nprompt = "x"\nrecorded_at = { pattern = "%Y-%q" }',
            "rule a: recorded_at.pattern: %q is not read",
        ),
        (
            'name = "a"\nprompt = "x"\nrecorded_at = { regex = "(?P<year>..)" }',
            "must have the groups year, month and day",
        ),
        ('name = "a"\nsource = "frigate"\nprompt = "x"', "rule a: video: is needed for events of Frigate"),
        ('name = "a"\nprompt = "x"\nresponse_format = "gone.json"', "rule a: response_format:"),
        ('name = "a"\nprompt = "x"\n\n[[rules]]\nname = "a"\nprompt = "y"', "two rules have the name a"),
        ("name = ", "is no TOML"),
    ],
)
def test_a_wrong_rule_is_told_by_its_name_and_its_member(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _rules(tmp_path, table)

    assert words in str(caught.value)
    assert "rules.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "name", "wanted"),
    [
        ({"pattern": "%Y-%m-%dT%H-%M-%S"}, "cam/2026-03-04T05-06-07.mp4", "2026-03-04T05:06:07.000Z"),
        ({"pattern": "%Y/%m/%d/%H.%M.%S", "zone": "Asia/Tokyo"}, "2026/03/04/05.06.07.mp4", "2026-03-03T20:06:07.000Z"),
        ({"pattern": "%Y%m%d%H%M%S%z"}, "x_20260304050607+0200.mp4", "2026-03-04T03:06:07.000Z"),
        ({"pattern": "%Y%m%d"}, "20250101/clip-20260304.mp4", "2026-03-04T00:00:00.000Z"),
        ({"pattern": "%Y%m%d"}, "clip-20261304.mp4", None),
        ({"pattern": "%Y%m%d"}, "clip-1020260304.mp4", None),
        (
            {"regex": r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)-(?P<hour>\d\d)h"},
            "20260304-05h",
            "2026-03-04T05:00:00.000Z",
        ),
        ({"regex": r"_(?P<epoch>\d+)\."}, "cam_1763881200.mp4", "2025-11-23T07:00:00.000Z"),
        ({"regex": r"_(?P<epoch>\d+)\."}, "cam_1763881200250.mp4", "2025-11-23T07:00:00.250Z"),
        ({"metadata": "Recorded"}, "a.mp4", "2026-11-23T07:00:00.000Z"),
        ({"metadata": "other"}, "a.mp4", None),
        ({"event": True}, "a.mp4", "1970-01-01T00:01:00.000Z"),
    ],
)
def test_the_time_of_recording(rule: dict[str, Any], name: str, wanted: str | None) -> None:
    found = RecordedAt(**rule).of(name, {"recorded": "2026-11-23T08:00:00+01:00"}, 60.0)

    assert found == wanted


def test_a_folder_without_rules_sends_its_videos() -> None:
    rules = rules_for_folder("What?", max_bytes=MAX_BYTES)
    clip = Arrival("file", "", "cam7/a.MP4", version="1-2", size=1, path="/recordings/cam7/a.MP4")

    assert _body(rules, clip)["video"] == {"type": "file", "path": "/recordings/cam7/a.MP4"}
    assert rules.of(Arrival("file", "", "cam7/a.jpg", size=1, path="/recordings/cam7/a.jpg")) is None


@pytest.mark.parametrize(("member", "place"), [("suffix = []", "suffix"), ("where = { label = [] }", "where.label")])
def test_an_empty_list_is_no_condition_that_always_holds(tmp_path: Path, member: str, place: str) -> None:
    with pytest.raises(SettingsError, match=f"rule a: {place}: holds nothing; leave it out"):
        _rules(tmp_path, f'name = "a"\nprompt = "What?"\n{member}')
