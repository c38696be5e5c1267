"""The command as a whole: help, exit codes, one clear line for each error."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from service.cli.exits import MEANINGS, Exit
from service.cli.group import COMMANDS
from tests.cli.conftest import DEADLINE, Command, base_environment, finish, start

pytestmark = pytest.mark.acceptance

DEAD = {"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}


async def test_help_lists_every_command_and_the_exit_codes(command: Command) -> None:
    result = await command("--help")
    assert result.code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.out
    for code, meaning in MEANINGS.items():
        assert f"{code.value}  {meaning}" in result.out


@pytest.mark.parametrize(
    "words",
    [[name] for name in COMMANDS]
    + [["topics", "create"], ["topics", "check"], ["contracts", "export"], ["contracts", "check"]]
    + [["dlq", "list"], ["dlq", "show"], ["dlq", "redrive"]],
    ids=" ".join,
)
async def test_every_command_has_help_with_examples_and_exit_codes(command: Command, words: list[str]) -> None:
    result = await command(*words, "--help")
    assert result.code == 0, result.err
    assert "Exit codes:" in result.out
    assert "Examples:" in result.out or "Commands:" in result.out


@pytest.mark.parametrize(
    "words",
    [
        ["submit", "https://media.example.com/a.mp4"],
        ["submit", "https://media.example.com/a.mp4", "--wait"],
        ["cancel", "a"],
        ["watch"],
        ["topics", "create"],
        ["topics", "check"],
        ["dlq", "list"],
        ["dlq", "show", "0:0"],
        ["dlq", "redrive", "--all"],
    ],
    ids=" ".join,
)
async def test_a_dead_broker_ends_every_command_with_3_and_one_line(command: Command, words: list[str]) -> None:
    begin = time.monotonic()
    result = await command(*words, environment=DEAD)
    assert result.code == Exit.UNREACHABLE
    assert result.err.startswith("reelwire: no Kafka broker answers at 127.0.0.1:9")
    assert len(result.err.splitlines()) == 1
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize("words", [["run"], ["config"], ["doctor"], ["watch"], ["topics", "create"]], ids=" ".join)
async def test_a_wrong_setting_ends_every_command_with_2_and_its_name(command: Command, words: list[str]) -> None:
    result = await command(*words, environment={"REELWIRE_HTTP__PORT": "x", "REELWIRE_LOG__LEVEL": "loud"})
    assert result.code == Exit.USAGE
    assert "REELWIRE_HTTP__PORT: 'x'" in result.err
    assert "REELWIRE_LOG__LEVEL: 'loud'" in result.err
    assert "Traceback" not in result.err


async def test_wrong_usage_ends_with_2(command: Command) -> None:
    assert (await command("nonsense")).code == Exit.USAGE
    assert (await command("submit")).code == Exit.USAGE
    assert (await command("watch", "--until-now")).code == Exit.USAGE


async def test_config_shows_values_and_origins_without_secrets(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "reelwire.toml"
    file.write_text('[kafka]\ngroup_id = "from-file"\n', encoding="utf-8")
    environment = {"REELWIRE_HTTP__PORT": "9999", "TWELVELABS_API_KEY": "very-secret"}
    result = await command("--config", str(file), "config", "--json", environment=environment)
    assert result.code == 0, result.err
    shown = {line["variable"]: (line["value"], line["origin"]) for line in result.json}
    assert shown["REELWIRE_HTTP__PORT"] == (9999, "env")
    assert shown["REELWIRE_KAFKA__GROUP_ID"] == ("from-file", "file")
    assert shown["REELWIRE_LOG__LEVEL"] == ("INFO", "default")
    assert shown["REELWIRE_PLATFORM__API_KEY"][0] == "***"
    assert "very-secret" not in result.out + result.err


async def test_config_check_prints_nothing_to_stdout(command: Command) -> None:
    result = await command("config", "--check")
    assert (result.code, result.out) == (0, "")


async def test_config_changed_leaves_out_the_defaults(command: Command) -> None:
    result = await command("config", "--changed", environment={"REELWIRE_HTTP__PORT": "9999"})
    assert result.out == "variable\tvalue\torigin\nREELWIRE_HTTP__PORT\t9999\tenv\n"


async def test_contracts_are_exported_and_checked(command: Command, tmp_path: Path) -> None:
    directory = tmp_path / "generated"
    assert (await command("contracts", "check", str(directory))).code == Exit.FAILURE
    assert (await command("contracts", "export", str(directory))).code == 0
    assert (await command("contracts", "check", str(directory))).code == 0
    assert (directory / "asyncapi.json").is_file()


async def test_debug_shows_the_traceback(command: Command) -> None:
    result = await command("--debug", "topics", "check", environment=DEAD)
    assert result.code == Exit.UNREACHABLE
    assert "Traceback" in result.err


async def test_a_reader_that_leaves_early_is_no_error_to_complain_about() -> None:
    # The pipe's only reader is closed before the command writes.
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        *["bash", "-c", "exec reelwire config --json"],
        env=base_environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    _, err = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert (process.returncode, err) == (Exit.FAILURE, b"")


async def test_the_emulator_answers_until_it_is_told_to_stop(tmp_path: Path) -> None:
    address = tmp_path / "address"
    process = await start("emulator", "--port", "0", "--address-file", str(address), environment={})
    assert process.stderr is not None
    ready = await asyncio.wait_for(process.stderr.readline(), DEADLINE)
    assert b"emulator_ready" in ready
    process.send_signal(signal.SIGTERM)
    result = await finish(process)
    assert result.code == 0
    assert address.read_text(encoding="utf-8").endswith("/v1.3")


async def test_the_emulator_names_a_wrong_pace(command: Command) -> None:
    result = await command("emulator", "--pace", "speed=1")
    assert result.code == Exit.USAGE
    assert "there is no setting speed" in result.err


async def test_the_emulator_names_a_state_directory_that_can_t_be_used(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = await command("emulator", "--port", "0", "--state-dir", str(tmp_path / "file" / "state"))
    assert result.code == Exit.FAILURE
    assert "the state directory can't be used" in result.err
    assert "--state-dir" in result.err


async def test_verify_without_a_key_lists_what_it_would_compare_and_sends_nothing(command: Command) -> None:
    result = await command("emulator", "verify", "--live")
    assert result.code == Exit.OK
    assert "answers.key" in result.out
    assert "nothing was sent" in result.err


async def test_the_emulator_names_a_wrong_limit(command: Command) -> None:
    wrong = [await command("emulator", *options) for options in (("--plan", "gold"), ("--limit", "rpm=5"))]
    assert [result.code for result in wrong] == [Exit.USAGE, Exit.USAGE]
    assert "there is no limit rpm" in wrong[1].err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["submit", ""], "SOURCE is empty"),
        (["submit", " "], "SOURCE is empty"),
        (["submit", "ftp://x/y"], "ftp:// is no source that can be read"),
        (["submit", "rtsp://cam7/live"], "rtsp:// is no source that can be read"),
        (["submit", "https://x/y", "--prompt", ""], "--prompt is empty"),
        (["submit", "https://x/y", "--set", "segmentz=2"], "a request has no such member"),
        (["submit", "https://x/y", "--set", "analysis_mod=general"], "did you mean analysis_mode?"),
        (["watch", "--types", "complete"], "no such type; there are accepted"),
        (["watch", "--types", "completed,dead_leter"], "--types dead_leter: no such type"),
        (["dlq", "list", "--code", "nosuch"], "'nosuch' is not one of"),
    ],
)
async def test_what_would_silently_be_something_else_is_refused(
    command: Command, arguments: list[str], words: str
) -> None:
    result = await command(*arguments)
    assert (result.code, result.out) == (2, "")
    assert words in result.err
