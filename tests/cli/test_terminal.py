"""What people see on a terminal of 80 columns, and what programs get instead."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from service.domain.job import Phase
from service.settings import TopicSettings
from tests.cli.conftest import Command, FakeService, finish, start
from tests.cli.terminal import COLUMNS, on_terminal, without_steering
from tests.cli.test_dlq import dead
from tests.cli.test_jobs import Log, log

__all__ = ["log"]

pytestmark = pytest.mark.acceptance


def fits(text: str) -> bool:
    return all(len(line.rstrip("\r")) <= COLUMNS for line in without_steering(text).split("\n"))


async def test_tables_fit_eighty_columns_and_lose_nothing(
    environment: dict[str, str], reelwire: Command, fake: FakeService, log: Log
) -> None:
    await log.job("camera-at-the-north-gate:2026-03-04T05:00:00", Phase.WATCHING, 1, task_id="t" * 24, key=b"k" * 30)
    await log.job("short", Phase.ACCEPTED, 0, tenant="acme")
    await dead(fake, b"{", b"a-key-of-forty-characters-" + b"k" * 14, "not_json")
    for words in (("jobs", "list"), ("dlq", "list"), ("topics", "create"), ("config",)):
        code, shown = await on_terminal(*words, environment=environment)
        assert code == 0, shown
        assert fits(shown), shown
    _, jobs = await on_terminal("jobs", "list", environment=environment)
    lines = without_steering(jobs).splitlines()
    assert lines[0].split()[:3] == ["request", "phase", "attempt"]
    # Folded, not cut: the request's column, joined, is the whole id.
    assert "camera-at-the-north-gate:2026-03-04T05:00:00" in "".join(line.split(" ", 1)[0] for line in lines)
    assert "watching" in jobs


async def test_a_failed_check_of_topics_fits_too(environment: dict[str, str], topic_settings: TopicSettings) -> None:
    code, shown = await on_terminal("topics", "check", environment=environment)
    assert code == 1
    assert fits(shown), shown
    assert "severity" in without_steering(shown)


async def test_piped_tables_have_a_header_and_one_line_each(reelwire: Command, log: Log) -> None:
    await log.job("a", Phase.ACCEPTED, 0)
    listed = await reelwire("jobs", "list")
    header, row = listed.out.splitlines()
    assert header.split("\t")[:4] == ["request", "phase", "attempt", "age"]
    assert len(row.split("\t")) == len(header.split("\t"))


async def test_run_shows_a_live_line_below_whole_log_lines_for_people(
    environment: dict[str, str], topics: TopicSettings
) -> None:
    offline = {"REELWIRE_PLATFORM__API_KEY": "tlk_x", "REELWIRE_PLATFORM__BASE_URL": "http://127.0.0.1:9/v1.3"}
    code, shown = await on_terminal(
        *("run",),
        environment=environment | offline | {"REELWIRE_HTTP__PORT": "0"},
        until=lambda text: f"partitions {topics.partitions} (" in text and "| lag 0" in text,
    )
    assert code == 0, shown
    assert "jobs 0" in shown
    seen = [without_steering(line.rpartition("\r\x1b[2K")[2]).strip() for line in shown.split("\n")]
    starting = [line for line in seen if "service_starting" in line]
    assert len(starting) == 1
    assert not starting[0].startswith("{")
    assert not [line for line in seen[:-1] if line.startswith("partitions ")], "the line is gone or below the log"


async def test_run_shows_no_line_and_writes_json_elsewhere(environment: dict[str, str], topics: TopicSettings) -> None:
    offline = {"REELWIRE_PLATFORM__API_KEY": "tlk_x", "REELWIRE_PLATFORM__BASE_URL": "http://127.0.0.1:9/v1.3"}
    process = await start("run", environment=environment | offline | {"REELWIRE_HTTP__PORT": "0"})
    assert process.stderr is not None
    first = await process.stderr.readline()
    process.terminate()
    result = await finish(process)
    assert result.code == 0, result.err
    assert all(line.startswith("{") for line in (first.decode() + result.err).splitlines())


async def test_bash_completes_commands_options_and_values_without_a_network(command: Command, tmp_path: Path) -> None:
    printed = await command("completion", "bash")
    assert printed.code == 0
    script = tmp_path / "completion.bash"
    # `complete` needs an interactive bash; the function that it names is called as bash would.
    script.write_text(printed.out)
    checked = subprocess.run(["bash", "-n", script], capture_output=True, check=False, timeout=60)  # noqa: ASYNC221
    assert (checked.returncode, checked.stderr) == (0, b"")
    for words, number, expected in (
        ("reelwire dl", 1, "plain,dlq"),
        ("reelwire dlq re", 2, "plain,redrive"),
        ("reelwire dlq list --code not_j", 4, "plain,not_json"),
        ("reelwire submit --wa", 2, "plain,--wait"),
    ):
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(number), "_REELWIRE_COMPLETE": "bash_complete"}
        assert expected in (await command(environment=asked)).out.split()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_other_shells_get_a_script_too(command: Command, shell: str) -> None:
    printed = await command("completion", shell)
    assert printed.code == 0
    assert f"_REELWIRE_COMPLETE={shell}_complete" in printed.out
