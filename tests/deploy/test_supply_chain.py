"""What the image is made of is listed, and weaknesses are looked up: nothing that was not looked up is called clean."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUN = (ROOT / "requirements/run.txt").read_text(encoding="utf-8")
PIN = "click==8.5.1 --hash=sha256:" + "a" * 64 + "\nattrs==26.1.0 --hash=sha256:" + "b" * 64 + "\n"
WEAKNESS = {
    "id": "PYSEC-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "aliases": ["CVE-2026-1"],
    "details": "Planted.",
    "affected": [
        {
            "package": {"name": "click", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.0.0"}]}],
            "versions": ["8.5.1"],
        }
    ],
}


@contextmanager
def osv(weak: str | None = None) -> Iterator[str]:
    """A service that knows of a weakness in one package, or of none."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer: dict[str, Any] = {"vulns": [WEAKNESS]} if asked["package"]["name"] == weak else {}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def audit(url: str, requirements: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "deploy/audit.py", requirements],
        env={"AUDIT_OSV_URL": url, "PATH": "/usr/bin:/bin", "HOME": str(requirements.parent), "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "pinned.txt"
    file.write_text(PIN)
    return file


@pytest.mark.integration
def test_what_is_clean_is_called_clean(requirements: Path) -> None:
    with osv() as url:
        done = audit(url, requirements)
    assert (done.returncode, done.stdout) == (0, "2 packages were looked up; no weakness is known\n"), done.stderr


@pytest.mark.integration
def test_a_weakness_fails_the_audit_and_is_named(requirements: Path) -> None:
    with osv("click") as url:
        done = audit(url, requirements)
    assert done.returncode == 1
    assert done.stderr == "click 8.5.1 (in the image): PYSEC-2026-1, CVE-2026-1; fixed in 9.0.0\n"


@pytest.mark.integration
def test_a_service_that_is_not_there_is_no_clean_answer(requirements: Path) -> None:
    done = audit("http://127.0.0.1:9/v1/query", requirements)
    assert done.returncode == 3
    assert done.stderr.startswith("not audited: http://127.0.0.1:9/v1/query can't be reached")
    assert "Traceback" not in done.stderr


@pytest.mark.integration
def test_the_list_of_parts_names_what_the_image_installs(tmp_path: Path) -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    (command,) = [line for line in lines if "cyclonedx_py" in line]
    written = tmp_path / "sbom.json"
    words = command.strip().removeprefix("@$(BIN)/python ").replace("build/sbom.json", str(written)).split()
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, timeout=100)

    bom = json.loads(written.read_text(encoding="utf-8"))

    pinned = set(re.findall(r"^([a-z0-9-]+)==(\S+)", RUN, re.MULTILINE))
    assert bom["bomFormat"] == "CycloneDX"
    assert bom["metadata"]["component"]["name"] == "reelwire"
    assert {(part["name"], part["version"]) for part in bom["components"]} == pinned
    assert all(part["externalReferences"][0]["hashes"] for part in bom["components"])


@pytest.mark.unit
@pytest.mark.parametrize("name", ["aws-msk-iam-sasl-signer-python", "opentelemetry-exporter-otlp-proto-http"])
def test_the_image_has_the_extras_for_managed_kafka_and_traces(name: str) -> None:
    assert f"\n{name}==" in RUN
