"""An archive that a real service analyses: what is told before, meanwhile and at the end, and what is sent again."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.backfill.conftest import Archive, Make, ids
from tests.cli.terminal import on_terminal, without_steering
from tests.docs.pages import blocks, commands

pytestmark = pytest.mark.acceptance

CLIPS = 5


@pytest.fixture(scope="module")
def archive(make_archive: Make) -> Archive:
    return make_archive(
        serve=True, REELWIRE_COST__PER_MINUTE="0.5", REELWIRE_COST__CURRENCY="EUR", REELWIRE_BATCH__MAX_SECONDS="1"
    )


def lines(report: Path) -> list[dict[str, str]]:
    with report.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def test_an_archive_is_estimated_sent_reported_and_what_failed_is_sent_again(
    archive: Archive, tmp_path: Path
) -> None:
    stage, report = archive.stage, tmp_path / "report.csv"
    clips = {f"ends/cam 7/{number}.mp4": stage.clip().read_bytes() for number in range(CLIPS)}
    await archive.put(clips | {"ends/cam 7/notes.txt": b"no video", "ends/broken.mp4": b"no video either"})
    work = ("s3://archive/ends", "--prompt", "What happens?", "--batch", "--set", 'metadata={"from":"archive"}')

    plan = await archive.run(*work, "--dry-run", "--minutes-per-gb", "100", "--json")
    assert plan.code == 0, plan.err
    size = sum(map(len, clips.values())) + len(b"no video either")
    told = plan.json[-1]
    assert (told["objects"], told["bytes"], told["to_send"], told["sent_before"]) == (CLIPS + 1, size, CLIPS + 1, 0)
    assert told["need"]["minutes"] == pytest.approx(size / 1e9 * 100)
    assert told["need"]["cost"] == pytest.approx(size / 1e9 * 100 * 0.5, abs=1e-6)
    assert told["need"]["basis"].startswith("100 min per GB, as told")
    assert await archive.requests() == []

    first = await archive.run(*work, "--report", str(report), "--rate", "50/s", "--state", str(tmp_path / "state"))
    assert first.code == 4, first.err
    assert f"{CLIPS + 1} objects: {CLIPS} completed, 1 failed" in first.out
    assert "EUR" in first.out
    assert "--retry-failed" in first.err
    rows = {row["object"]: row for row in lines(report)}
    assert list(rows) == sorted(rows)
    good, bad = rows["s3://archive/ends/cam 7/0.mp4"], rows["s3://archive/ends/broken.mp4"]
    assert (good["status"], good["code"]) == ("completed", "")
    assert float(good["minutes"]) == pytest.approx(4 / 60, abs=0.01)
    assert float(good["cost"]) == pytest.approx(float(good["minutes"]) * 0.5, abs=1e-4)
    assert float(good["seconds"]) > 0
    assert bad["status"] == "failed"
    assert bad["code"]

    retried = await archive.run(*work, "--retry-failed", "--report", str(report), "--json")
    assert (retried.code, retried.json[-1]["sent_now"], retried.json[-1]["failed"]) == (4, 1, 1)
    records = await archive.requests()
    runs = [orjson.loads(record.value).get("run", 1) for record in records if b"broken" in record.value]
    assert runs == [1, 2]
    assert len(records) == CLIPS + 2
    observer = await stage.ended(*ids(records))
    assert (observer.completion(good["id"]) or {})["metadata"] == {"from": "archive"}

    repeated = await archive.run(*work, "--dry-run", "--state", str(tmp_path / "state"))
    assert f"{CLIPS + 1} objects" in repeated.out
    assert "would send 0 requests" in repeated.out


async def test_a_folder_is_an_archive_too(archive: Archive) -> None:
    stage = archive.stage
    folder = stage.videos / "folder"
    folder.mkdir()
    for number in range(2):
        stage.clip().rename(folder / f"{number}.mp4")
    (folder / ".unfinished.mp4").write_bytes(b"hidden")
    (folder / "link.mp4").symlink_to(folder / "0.mp4")

    result = await archive.run(str(folder), "--mode", "sync", "--json")
    assert result.code == 0, result.err
    told: dict[str, Any] = result.json[-1]
    assert (told["listed"], told["completed"], told["whole"]) == (2, 2, True)
    assert told["left_out"] == {"seen": 3, "by_reason": {"hidden": 1}, "first_name": None}
    assert any(line["type"] == "progress" and line["phase"] == "read" for line in result.json)

    none = await archive.run(str(folder), "--glob", "*.mkv")
    assert none.code == 0, none.err
    assert "3 files or objects seen" in none.err
    assert "none fits; left out: 2 by --glob, 1 hidden" in none.err


async def test_the_commands_of_the_how_to_send_what_it_shows(archive: Archive, tmp_path: Path) -> None:
    await archive.put({f"2019/{name}.mp4": archive.stage.clip().read_bytes() for name in ("0412", "0413")})
    page = blocks("howto/archives.md")
    typed = [shlex.split(one.text) for block in page if block.language == "console" for one in commands(block)]
    backfills = [words[2:] for words in typed if words[:2] == ["reelwire", "backfill"]]
    assert [words[-1] for words in backfills] == ["--dry-run", "2019.csv", "--retry-failed"]
    for words in backfills:
        result = await archive.run(*words, cwd=tmp_path)
        assert result.code == 0, result.err

    told = (tmp_path / "2019.csv").read_text()
    assert told.startswith("object,id,status,code,minutes,cost,seconds\n")
    assert told.count(",completed,") == 2
    (shown,) = [orjson.loads(block.text) for block in page if block.language == "json"]
    sent = [orjson.loads(record.value) for record in await archive.requests()]
    (same,) = [body for body in sent if body["video"] == shown["video"]]
    assert {name: same[name] for name in shown if name != "request_id"} == {
        name: value for name, value in shown.items() if name != "request_id"
    }
    assert same["request_id"][:-32] == shown["request_id"][:-32]


async def test_a_terminal_shows_how_far_it_is_and_what_is_to_come(archive: Archive) -> None:
    await archive.put({f"bar/{number}.mp4": archive.stage.clip().read_bytes() for number in range(3)})
    code, shown = await on_terminal(
        "backfill", "s3://archive/bar", "--rate", "2/s", environment=archive.stage.system.environment
    )
    text = " ".join(without_steering(shown).split())
    print(shown)
    assert code == 0, text
    assert re.search(r"sent [1-3] of 3, [0-3] completed, 0 failed", text)
    assert re.search(r"EUR so far, to come: [0-9.]+ min, [0-9.]+ EUR \(25 min per GB, assumed", text)
    assert "3 objects: 3 completed, 0 failed, 0 canceled or unknown, 0 under way; 3 sent now" in text
