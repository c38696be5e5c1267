"""What is deployed agrees with the code: variables, metrics, files, pinned packages."""

from __future__ import annotations

import importlib.util
import re
import socket
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cli.commands.ingest import command as ingest_command
from service.cli.request_body import DEFAULT_PROMPT
from service.sandbox.broker.node import VERSION as KAFKA_VERSION
from service.settings import Settings
from service.settings.sources import OTHER_VARIABLES, members
from tests.deploy.schemas import check_compose

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TEMPLATES = DEPLOY / "helm/reelwire/templates"
YAMLS = sorted({*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")} - set(TEMPLATES.iterdir()))


def load(path: Path) -> Any:
    [content, *_] = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.name)
def test_every_yaml_file_can_be_read(path: Path) -> None:
    assert load(path)


@pytest.mark.parametrize("path", [ROOT / "Dockerfile", *YAMLS, *TEMPLATES.iterdir()], ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    used = set(re.findall(r"\bREELWIRE_[A-Z0-9_]+", path.read_text(encoding="utf-8")))
    assert used <= members(Settings).keys() | OTHER_VARIABLES


def test_every_file_the_image_copies_is_there_and_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [line.removeprefix("!").rstrip("/") for line in ignore if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.rstrip("/") in let_in, source


def test_the_image_runs_as_a_numbered_user_and_stops_by_sigterm() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER [1-9]\d+:\d+$", text, re.MULTILINE)
    assert "STOPSIGNAL SIGTERM" in text
    assert text.count("HEALTHCHECK") == 2
    stages = re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE)
    assert stages[-1] == "service"


def test_compose_waits_for_what_it_needs_and_mounts_what_is_there() -> None:
    services = load(DEPLOY / "compose.yaml")["services"]
    assert services["service"]["read_only"] is True
    assert services["service"]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    for service in services.values():
        assert set(service.get("depends_on", ())) <= services.keys()
        if "build" in service:
            assert service["build"]["target"] in stages
        for volume in service.get("volumes", []):
            source = str(volume).split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), source


def test_compose_keeps_to_its_specification() -> None:
    content = load(DEPLOY / "compose.yaml")
    check_compose(content)

    content["services"]["service"]["depends-on"] = {}
    with pytest.raises(ValueError, match=r"not in the schema: \.services\.service\.depends-on"):
        check_compose(content)


def test_compose_is_complete_and_what_not_everybody_wants_is_asked_for() -> None:
    services = load(DEPLOY / "compose.yaml")["services"]

    assert services.keys() == {
        *("kafka", "topics", "emulator", "service", "console", "ingest", "prometheus", "grafana", "kafka-ui", "jaeger")
    }
    assert {name: service["profiles"] for name, service in services.items() if "profiles" in service} == {
        "ingest": ["ingest"],
        "kafka-ui": ["ui"],
        "jaeger": ["traces"],
    }
    for name, service in services.items():
        assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name != "kafka":  # its image prepares the volume
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name


def test_prometheus_scrapes_service_and_ingest_and_reads_every_rule_file() -> None:
    content = load(DEPLOY / "prometheus/prometheus.yml")

    of_service, of_ingest = content["scrape_configs"]
    assert of_service["static_configs"] == [{"targets": ["service:8080"]}]
    assert (of_service["job_name"], of_ingest["job_name"]) == ("reelwire", "reelwire-ingest")
    assert of_ingest["dns_sd_configs"] == [{"names": ["ingest"], "type": "A", "port": Settings().http.port}]
    assert {DEPLOY / "prometheus" / name for name in content["rule_files"]} == set(
        (DEPLOY / "prometheus").glob("*.yaml")
    )


def test_the_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    assert hadolint.exists(), "`make setup` installs it"
    checked = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)

    assert checked.returncode == 0, checked.stdout


def test_compose_gives_the_service_longer_than_its_drain() -> None:
    grace = load(DEPLOY / "compose.yaml")["services"]["service"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > Settings().shutdown.drain_seconds


def test_the_console_of_compose_needs_neither_key_nor_videos() -> None:
    console = load(DEPLOY / "compose.yaml")["services"]["console"]
    assert console["ports"] == ["127.0.0.1:8090:8090"]
    assert not {"REELWIRE_PLATFORM__API_KEY", "REELWIRE_SOURCES__FILE_ROOTS"} & console["environment"].keys()
    assert "volumes" not in console


def test_the_ingest_of_compose_watches_the_folder_that_the_service_may_read_and_has_no_key() -> None:
    services = load(DEPLOY / "compose.yaml")["services"]
    ingest, service = services["ingest"], services["service"]
    words = [re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", word) for word in ingest["command"]]  # as compose fills them in
    name, *arguments = words
    given = ingest_command.make_context(name, arguments).params
    roots = [part["environment"]["REELWIRE_SOURCES__FILE_ROOTS"] for part in (ingest, service)]

    assert (str(given["watch"]), given["existing"], given["file"]) == ("/videos", "skip", None)
    assert given["prompt"] == DEFAULT_PROMPT
    assert ingest["volumes"] == service["volumes"]
    assert roots == ["/videos", "/videos"]
    assert "REELWIRE_PLATFORM__API_KEY" not in ingest["environment"]


def test_kafka_keeps_its_data_in_its_volume() -> None:
    kafka = load(DEPLOY / "compose.yaml")["services"]["kafka"]
    assert f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}" in kafka["volumes"]


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_the_health_check_of_the_image_wants_a_200(status: str, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        probe = subprocess.Popen(
            [sys.executable, "-I", "-S", DEPLOY / "probe.py", port, "/health/live"], stderr=subprocess.DEVNULL
        )
        server.settimeout(30)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(1024).startswith(b"GET /health/live HTTP/1.1\r\n")
            connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        assert probe.wait(30) == code
    again = [sys.executable, "-I", "-S", str(DEPLOY / "probe.py"), port, "/health/live"]
    assert subprocess.run(again, stderr=subprocess.DEVNULL, timeout=30, check=False).returncode == 1


@pytest.fixture
def pick() -> Any:
    spec = importlib.util.spec_from_file_location("pick_requirements", DEPLOY / "pick_requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pick


def test_packages_of_the_image_are_picked_with_their_hashes(pick: Any) -> None:
    names = re.findall(
        r"requirements/dev\.txt ([a-z -]+?)\s*(?:\\$|>)", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    assert len(names) == 2
    for wanted in names:
        text = pick((ROOT / "requirements/dev.txt").read_text(encoding="utf-8"), wanted.split())
        for name in wanted.split():
            assert re.search(rf"^{name}==\S+", text, re.MULTILINE)
        assert all(line.startswith(("    --hash=sha256:", *wanted.split())) for line in text.splitlines())


def test_a_package_that_is_not_pinned_stops_the_build(pick: Any) -> None:
    with pytest.raises(SystemExit, match="not pinned: nonsense"):
        pick("av==1 \\\n    --hash=sha256:0\n", ["nonsense"])


def test_everything_the_build_backend_needs_is_picked() -> None:
    # Nothing is resolved in the image: the backend is installed without its dependencies.
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    needed = {
        re.split(r"[^A-Za-z0-9_-]", need)[0] for need in requires("hatchling") or [] if "python_version" not in need
    }
    assert needed
    assert all(re.search(rf"\b{name}\b", text) for name in needed), needed
