"""Every error path of the commands, and of a service that meets the same: words for people, never Python's notation."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from service.cli.exits import Exit
from service.cli.group import COMMANDS
from service.settings import KafkaSettings, TopicSettings
from tests.cli.conftest import DEADLINE, Command, Result, start
from tests.support.listeners import HOST, Listener

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

PYTHON = re.compile(r"\w+\(.*=|<\w+[ .]|Error\b:|Traceback|\[Errno|AddressFamily")
DEAD = {"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}
URL = "https://media.example.com/a.mp4"
KAFKA = [
    ["submit", URL],
    ["submit", URL, "--wait"],
    ["cancel", "a"],
    ["watch"],
    ["jobs", "list"],
    ["jobs", "show", "a"],
    ["topics", "create"],
    ["topics", "check"],
    ["dlq", "list"],
    ["dlq", "show", "0:0"],
    ["dlq", "redrive", "--all"],
    ["doctor", "--no-platform"],
    ["doctor", "--request", "a"],
]
HEALTH = ("live", "ready", "startup")
PROTOCOLS = {
    "tls against plaintext": {"REELWIRE_KAFKA__SECURITY_PROTOCOL": "SSL"},
    "login against plaintext": {
        "REELWIRE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "REELWIRE_KAFKA__SASL_USERNAME": "me",
        "REELWIRE_KAFKA__SASL_PASSWORD": "some-password",
    },
}
WRONG = {
    "REELWIRE_HTTP__PORT": "x",
    "REELWIRE_LOG__LEVEL": "loud",
    "REELWIRE_JOBS__MAX_IN_FLIGHT": "0",
    "REELWIRE_KAFKA__SECURITY_PROTOCOL": "TLS",
    "REELWIRE_KAFKA__SSL_CAFILE": "/nowhere/ca.pem",
    "REELWIRE_KAFKA__BOOTSTRAP_SERVERS": "no address",
    "REELWIRE_KAFKA__NONSENSE": "1",
    "REELWIRE_SOURCES__FILE_ROOTS": "[1",
    "REELWIRE_PLATFORM__API_KEY_FILE": "/nowhere/key",
    "REELWIRE_PLATFORM__BASE_URL": "ftp://x",
    "REELWIRE_TOPICS__RETENTION_HOURS": "1",
    "REELWIRE_JOBS": "[",
}


def assert_words(result: Result, *codes: Exit) -> None:
    said = result.out + result.err
    assert result.code in codes, said
    assert said.strip()
    assert not PYTHON.search(said), said


@pytest.mark.parametrize("words", KAFKA, ids=" ".join)
async def test_a_dead_broker_is_told_in_words(command: Command, words: list[str]) -> None:
    result = await command(*words, environment=DEAD)
    assert_words(result, Exit.UNREACHABLE)
    assert "REELWIRE_KAFKA__BOOTSTRAP_SERVERS" in result.out + result.err


@pytest.mark.parametrize(
    ("words", "environment", "code", "named"),
    [
        (["jobs", "list", "--json"], DEAD, Exit.UNREACHABLE, "REELWIRE_KAFKA__BOOTSTRAP_SERVERS"),
        (["dlq", "list", "--code", "nosuch", "--json"], {}, Exit.USAGE, "'nosuch' is not one of"),
        (["config", "--json"], {"REELWIRE_HTTP__PORT": "x"}, Exit.USAGE, "REELWIRE_HTTP__PORT"),
    ],
)
async def test_for_programs_an_error_is_one_json_object_on_stderr(
    command: Command, words: list[str], environment: dict[str, str], code: Exit, named: str
) -> None:
    result = await command(*words, environment=environment)
    assert (result.code, result.out) == (code, "")
    error = json.loads(result.err)["error"]
    assert (error["name"], error["exit_code"]) == (code.name.lower(), code.value)
    assert named in error["message"]
    assert not PYTHON.search(error["message"])


async def test_an_address_without_a_name_server_entry_is_told_in_words(command: Command) -> None:
    result = await command("topics", "check", environment={"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": "no-such.invalid:9092"})
    assert_words(result, Exit.UNREACHABLE)


@pytest.mark.parametrize("about", PROTOCOLS)
@pytest.mark.parametrize("words", [["submit", URL], ["topics", "check"], ["doctor", "--no-platform"]], ids=" ".join)
async def test_a_protocol_that_is_not_the_listeners_is_named_with_its_setting(
    command: Command, kafka: KafkaSettings, words: list[str], about: str
) -> None:
    broker = {"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    result = await command(*words, environment=broker | PROTOCOLS[about])
    assert_words(result, Exit.UNREACHABLE)
    said = " ".join((result.out + result.err).split())
    assert "REELWIRE_KAFKA__SECURITY_PROTOCOL" in said
    assert "set it to PLAINTEXT" in said


@pytest.mark.parametrize("words", [words for words in KAFKA if words[0] not in ("topics", "doctor")], ids=" ".join)
async def test_missing_topics_are_told_in_words(
    command: Command, kafka: KafkaSettings, topic_settings: TopicSettings, environment: dict[str, str], words: list[str]
) -> None:
    assert_words(await command(*words, environment=environment), Exit.FAILURE)


async def test_topics_that_do_not_fit_are_told_in_words(command: Command, environment: dict[str, str]) -> None:
    assert (await command("topics", "create", environment=environment)).code == Exit.OK
    progress = f"{environment['REELWIRE_TOPICS__PROGRESS']}.other"
    other = environment | {"REELWIRE_TOPICS__PARTITIONS": "5", "REELWIRE_TOPICS__PROGRESS": progress}
    assert_words(await command("topics", "create", environment=other), Exit.FAILURE)
    assert_words(await command("topics", "check", environment=other), Exit.FAILURE)
    for words in (["cancel", "nosuch"], ["jobs", "show", "nosuch"]):
        assert_words(await command(*words, environment=environment), Exit.REQUEST_FAILED, Exit.FAILURE)
    assert_words(await command("dlq", "show", "0:7", environment=environment), Exit.FAILURE, Exit.REQUEST_FAILED)


@pytest.mark.parametrize("name", WRONG)
async def test_each_wrong_setting_is_told_by_its_name(command: Command, name: str) -> None:
    if name.endswith("API_KEY_FILE"):
        result = await command("run", environment={name: WRONG[name]})
    elif name.endswith("CAFILE"):
        result = await command("topics", "check", environment={name: WRONG[name], **PROTOCOLS["tls against plaintext"]})
    else:
        result = await command("config", environment={name: WRONG[name]})
    assert_words(result, Exit.USAGE)
    assert name in result.err or "REELWIRE_KAFKA__SSL_" in result.err


@pytest.mark.parametrize("text", ["[kafka", "kafka = 3\n", "[kafka]\nnonsense = 1\n", "\x00"])
async def test_a_bad_settings_file_is_told_in_words(command: Command, tmp_path: Path, text: str) -> None:
    file = tmp_path / "reelwire.toml"
    file.write_text(text)
    assert_words(await command("config", environment={"REELWIRE_CONFIG": str(file)}), Exit.USAGE)


@pytest.mark.parametrize(
    "words",
    [
        ["nosuch"],
        ["submit"],
        ["submit", "{tmp}/nosuch.mp4"],
        ["submit", "{tmp}"],
        ["submit", URL, "--response-format", "{tmp}/bad.json"],
        ["submit", URL, "--response-format", "{tmp}/nosuch.json"],
        ["submit", URL, "--metadata", "{{"],
        ["submit", URL, "--set", "temperature"],
        ["submit", URL, "--set", "temperature=9"],
        ["submit", URL, "--deadline", "tomorrow"],
        ["submit", URL, "--request-id", "a b"],
        ["submit", URL, "--temperature", "hot"],
        ["dlq", "show", "x"],
        ["dlq", "list", "--since", "yesterday"],
        ["dlq", "redrive"],
        ["contracts", "check", "{tmp}/empty"],
        ["contracts", "export", "{tmp}/bad.json"],
        ["contracts", "export", "{tmp}/bad.json/below"],
        ["emulator", "--pace", "speed=1"],
        ["emulator", "--limit", "x"],
        ["emulator", "--state-dir", "{tmp}/bad.json/state", "--port", "0"],
    ],
    ids=" ".join,
)
async def test_wrong_arguments_and_files_are_told_in_words(command: Command, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "bad.json").write_text("{not json")
    result = await command(
        *(word.replace("{tmp}", str(tmp_path)).replace("{{", "{") for word in words), environment=DEAD
    )
    assert_words(result, Exit.FAILURE, Exit.USAGE, Exit.UNREACHABLE)


@pytest.mark.parametrize("name", COMMANDS)
async def test_an_unknown_option_is_told_in_words(command: Command, name: str) -> None:
    assert_words(await command(name, "--no-such-option=1"), Exit.USAGE)


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server((HOST, 0))) as held:
        yield held.getsockname()[1]


async def test_a_port_that_is_taken_is_the_same_exit_code_everywhere(command: Command, taken: int) -> None:
    service = await command("run", environment=DEAD | {"REELWIRE_HTTP__PORT": str(taken), "TWELVELABS_API_KEY": "k"})
    emulator = await command("emulator", "--port", str(taken))
    for result, setting in ((service, "REELWIRE_HTTP__PORT"), (emulator, "--port")):
        assert_words(result, Exit.USAGE)
        assert f"{setting}: port {taken} of " in result.err


@pytest.fixture
async def web() -> AsyncIterator[int]:
    """A server that answers with HTML: a proxy in the platform's place, or no broker at all."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
        )
        writer.close()

    listener = Listener()
    await listener.start(answer)
    yield listener.port
    await listener.close()


@pytest.mark.parametrize("case", ["none", "html", "no key"])
async def test_a_platform_that_is_none_is_told_in_words(
    command: Command, environment: dict[str, str], web: int, case: str
) -> None:
    port = 9 if case == "none" else web
    key = {} if case == "no key" else {"TWELVELABS_API_KEY": "k"}
    more = {"REELWIRE_PLATFORM__BASE_URL": f"http://{HOST}:{port}/v1.3", **key}
    result = await command("doctor", environment=environment | more)
    assert_words(result, Exit.FAILURE, Exit.UNREACHABLE)
    assert ("API_KEY" if case == "no key" else "REELWIRE_PLATFORM__BASE_URL") in result.out + result.err


@pytest.mark.parametrize("case", ["dead", "html", *PROTOCOLS])
async def test_log_and_health_of_a_service_that_finds_no_broker_are_words(
    kafka: KafkaSettings, web: int, case: str
) -> None:
    servers = {"dead": "127.0.0.1:9", "html": f"{HOST}:{web}"}.get(case, kafka.bootstrap_servers)
    more = {"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": servers, "REELWIRE_HTTP__PORT": "0", "TWELVELABS_API_KEY": "k"}
    more |= {"REELWIRE_LOG__FORMAT": "json", "REELWIRE_HTTP__HOST": HOST}
    process = await start("run", environment=more | PROTOCOLS.get(case, {}))
    assert process.stderr is not None
    lines: list[str] = []
    bodies: list[str] = []
    try:
        async with asyncio.timeout(DEADLINE):
            while not lines or "broker_waited_for" not in lines[-1]:
                lines.append((await process.stderr.readline()).decode())
                assert lines[-1], lines
            found = re.search(r'"port":\s*(\d+)', next(line for line in lines if "http_listening" in line))
            assert found is not None
            async with httpx.AsyncClient() as client:
                answers = [await client.get(f"http://{HOST}:{found[1]}/health/{name}") for name in HEALTH]
            bodies = [answer.text for answer in answers]
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        _, rest = await process.communicate()
    for text in [*lines, *bodies, *rest.decode().splitlines()]:
        assert not PYTHON.search(text), text
    needed = "SECURITY_PROTOCOL" if case in PROTOCOLS else "BOOTSTRAP_SERVERS"
    assert needed in lines[-1]
    assert needed in bodies[1]
