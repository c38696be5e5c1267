"""The kits' types are those of the contract's schemas, and nothing of what they say is out of date."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from contracts.topics import TOPICS as ROLES
from contracts.topics import Role
from kits.generate import ROOT, drifted, main
from kits.history import HISTORIES, load
from kits.schema_types import read_shapes
from reelwire_client import __version__
from reelwire_client.events import COMPLETIONS_TYPES, FRAGMENTS_TYPES, PROGRESS_TYPES, TOPICS
from reelwire_client.testing import Play
from service.version import VERSION

pytestmark = pytest.mark.unit

SCHEMAS = ROOT / "contracts" / "generated" / "schemas"


def _schema(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


def test_the_committed_types_are_those_of_the_schemas() -> None:
    assert drifted() == []


def test_a_type_that_is_out_of_date_is_named(tmp_path: Path) -> None:
    assert len(drifted(tmp_path)) == 2


def test_the_generator_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("kits.generate.drifted", lambda: ["kits/typescript/src/events.ts"])

    assert main(["--check"], said.append) == 1
    assert said == ["kits/typescript/src/events.ts differs from the schemas; run: make contracts\n"]


def test_a_construct_that_types_can_t_express_is_refused(tmp_path: Path) -> None:
    schema = {"title": "New", "properties": {"a": {"patternProperties": {}}}}
    (tmp_path / "new.schema.json").write_text(json.dumps(schema))

    with pytest.raises(ValueError, match="patternProperties"):
        read_shapes(tmp_path)


def test_topics_and_versions_are_the_service_s() -> None:
    package = json.loads((ROOT / "kits" / "typescript" / "package.json").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "kits" / "python" / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {role: ROLES[Role(role)].default_name for role in TOPICS} == TOPICS
    assert {package["version"], project["version"], __version__} == {VERSION}


def test_the_lock_file_names_no_host() -> None:
    lock = (ROOT / "kits" / "typescript" / "package-lock.json").read_text(encoding="utf-8")

    assert '"resolved"' not in lock


def test_whatever_a_play_says_follows_the_schemas() -> None:
    play = Play("cam7-1", metadata={"site": "dock 4"}, tenant="harbour")
    for kind in sorted(PROGRESS_TYPES):
        play.progress(kind)
    play.text("A ", "car.").cut().text("A van.").completed().repeated()
    records = [*play.records(), *Play("a").failed("upload_failed").records(), *Play("b").canceled().records()]
    seen = set()

    for record in records:
        body = json.loads(record.value or b"")
        jsonschema.validate(body, _schema(body["type"]), format_checker=jsonschema.FormatChecker())
        seen.add(body["type"])
    (letter,) = Play("c").refused().records()
    jsonschema.validate({name: record_value(value) for name, value in letter.headers}, _schema("dead_letter_headers"))

    assert seen == PROGRESS_TYPES | COMPLETIONS_TYPES | FRAGMENTS_TYPES


def record_value(value: bytes | None) -> str:
    assert value is not None
    return value.decode()


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("recorded*.json")), ids=lambda path: path.stem)
def test_what_was_recorded_still_follows_the_schemas(path: Path) -> None:
    for record in load(path).records:
        if record.header("dlq.original.topic") is None:
            body = json.loads(record.value or b"")
            jsonschema.validate(body, _schema(body["type"]))
