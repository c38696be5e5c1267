"""Reads `rules.toml`, and says which rule and which member is wrong."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from contracts.rejection import member_path, violation_words
from contracts.requests import AnalyzeRequest
from service.errors import SettingsError
from service.ingest.notifications.arrival import Arrival
from service.ingest.rules.request import Planned, RuleFault, members_of, planned
from service.ingest.rules.rule import Rule, RuleFile
from service.settings import TopicSettings
from service.words import in_words

_OWN = frozenset({"type", "request_id", "video", "tenant", "metadata", "recorded_at", "response_format", "mode",
                  "priority", "prompt"})  # fmt: skip
_EXAMPLE = Arrival("s3", "example", "example.mp4", version="1", size=1, event_at=0.0, uri="s3://example/example.mp4")


VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv",
                  ".3gp")  # fmt: skip
"""Of the files that are videos where no rule says which are."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a process. `of` is pure and quick."""

    topics: tuple[str, ...]
    group: str | None
    rules: tuple[tuple[Rule, dict[str, Any]], ...]
    max_bytes: int

    def group_id(self, of_service: str) -> str:
        """The group of the processes that go by these rules, and their transactional id."""
        return self.group or f"{of_service}-ingest"

    def of(self, arrival: Arrival) -> Planned | None:
        """The request for a video by the first rule that is for it; None when there is none. Raises `RuleFault`."""
        for rule, members in self.rules:
            values = rule.values_for(arrival)
            if values is not None:
                return planned(rule, members, arrival, values, max_bytes=self.max_bytes)
        return None


def read_rules(path: Path, *, max_bytes: int) -> Rules:
    """The rules in a file. `max_bytes` is the limit on a request. Raises `SettingsError` that names what is wrong."""
    document = _document(path)
    try:
        file = RuleFile.model_validate(document)
    except ValidationError as error:
        items = error.errors(include_url=False, include_input=False)
        if len(items) > 1:  # a wrong rule also makes the list of rules look shorter than it is
            items = [item for item in items if item["type"] != "too_short" or item["loc"] != ("rules",)]
        lines = dict.fromkeys(f"{path}: {_member(document, item['loc'])}{_words(item)}" for item in items)
        raise SettingsError("\n".join(lines)) from None
    names = [rule.name for rule in file.rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{path}: two rules have the name {twice[0]}; give each its own")
    checked = tuple((rule, _checked(path, rule, max_bytes)) for rule in file.rules)
    return Rules(file.topics, file.group, checked, max_bytes)


def refuse_own_topics(rules: Rules, topics: TopicSettings) -> None:
    """Raise `SettingsError` when notifications would be read from a topic of the service itself."""
    ours = {name for name in topics.model_dump().values() if isinstance(name, str)}
    for topic in rules.topics:
        if topic in ours:
            raise SettingsError(f"topics: {topic} is one of Reelwire's own; notifications need a topic of their own")


def rules_for_folder(prompt: str, *, max_bytes: int) -> Rules:
    """The one rule of a watched folder without rules of its own: every video, with this prompt."""
    rule = Rule(name="watch", source="file", suffix=VIDEO_SUFFIXES, prompt=prompt)
    members = members_of(rule, None)
    try:
        planned(rule.model_copy(update={"source": None}), members, _EXAMPLE, {}, max_bytes=max_bytes)
    except RuleFault as fault:
        raise SettingsError(f"--prompt: {fault}") from None
    return Rules((), None, ((rule, members),), max_bytes)


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the rules can't be read: {in_words(error)}; give the file with --rules") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is no TOML: {error}") from None


def _words(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "is not known here; members of the request stand in `options`"
    if item["type"] == "string_pattern_mismatch":
        return f"must match {item['ctx']['pattern']}"
    return violation_words(item)


def _member(document: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """`rule cameras: recorded_at.zone: ` for a member of a rule; its number where it has no name."""
    rules = document.get("rules")
    if len(location) > 1 and location[0] == "rules" and isinstance(location[1], int) and isinstance(rules, list):
        entry = rules[location[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        which = f"rule {name}" if isinstance(name, str) else f"rule number {location[1] + 1}"
        member = member_path(location[2:])
        return f"{which}: {member}: " if member else f"{which}: "
    member = member_path(location)
    return f"{member}: " if member else ""


def _checked(path: Path, rule: Rule, max_bytes: int) -> dict[str, Any]:
    where = f"{path}: rule {rule.name}:"
    for member, name in rule.unknown_names().items():
        known = ", ".join(sorted(rule.names()))
        raise SettingsError(f"{where} {member}: there is no {{{name}}}; known are {known}")
    for name in rule.options:
        if name in _OWN:
            raise SettingsError(f"{where} options.{name}: stands beside `options`, or is set by the video")
        if name not in AnalyzeRequest.model_fields:
            raise SettingsError(f"{where} options.{name}: a request has no such member")
    if rule.source == "frigate" and rule.video is None:
        raise SettingsError(f"{where} video: is needed for events of Frigate, which name no address of the clip")
    if rule.recorded_at is not None and rule.recorded_at.metadata is not None and rule.source in ("azure", "frigate"):
        raise SettingsError(f"{where} recorded_at.metadata: notifications of {rule.source} hold no metadata")
    members = members_of(rule, _response_format(path, rule))
    example = rule.model_copy(update={"key": None, "tenant": None, "video": None, "metadata": {}, "recorded_at": None})
    try:
        planned(example, members, _EXAMPLE, {}, max_bytes=max_bytes)
    except RuleFault as fault:
        raise SettingsError(f"{path}: {fault}") from None
    return members


def _response_format(path: Path, rule: Rule) -> dict[str, Any] | None:
    """The platform's object as it is; a plain JSON Schema is put into one."""
    if rule.response_format is None:
        return None
    file = path.parent / rule.response_format
    where = f"{path}: rule {rule.name}: response_format:"
    try:
        document = orjson.loads(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"{where} the file can't be read: {in_words(error)}") from None
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"{where} {file} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{where} {file} must hold a JSON object")
    if document.get("type") in {"json_schema", "segment_definitions"} and len(document) > 1:
        return document
    return {"type": "json_schema", "json_schema": document}
