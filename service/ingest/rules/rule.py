"""One rule of `rules.toml`: which videos it is for, and the request that is sent for each. And the whole file."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from contracts.rejection import rule
from contracts.request_models import Mode, Priority
from service.footage.globs import NotAGlob, glob_pattern
from service.ingest.notifications.arrival import Arrival, Source
from service.ingest.rules.recorded import RecordedAt
from service.ingest.rules.templates import names_in

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_TOPIC = r"^[A-Za-z0-9._-]{1,249}$"
_GROUP = r"^[A-Za-z0-9._-]{1,200}$"
_OF_THE_NAME = frozenset({"source", "bucket", "key", "name", "stem", "folder", "size", "version"})
_OF_SOURCES = frozenset({"id", "camera", "label", "sub_label", "zones", "account", "path"})


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise rule("holds nothing; leave it out where every video is meant")
    return value


Texts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_one_or_more), AfterValidator(_not_empty)
]


class Rule(BaseModel):
    """All conditions that are set must hold. Members of the request are checked when the rules are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=_NAME)]
    """For metrics, logs and the header `ingest.rule`."""
    # Which videos
    source: Source | None = None
    bucket: Annotated[str, Field(min_length=1)] | None = None
    """Bucket or container, as a glob."""
    prefix: str = ""
    suffix: Texts = ()
    """One of these ends the name; upper and lower case are the same."""
    glob: Annotated[str, Field(min_length=1)] | None = None
    """For the whole name."""
    match: Annotated[str, Field(min_length=1)] | None = None
    """A regular expression that is found in the name; its named groups are names for templates."""
    where: dict[str, Texts] = Field(default_factory=dict)
    """What the event says beside the name, such as `label` and `camera` of Frigate: one of these texts."""
    min_bytes: Annotated[int, Field(ge=0)] | None = None
    max_bytes: Annotated[int, Field(ge=1)] | None = None
    # The request
    prompt: str | None = None
    mode: Mode | None = None
    priority: Priority | None = None
    tenant: str | None = None
    """A template."""
    key: Annotated[str, Field(min_length=1)] | None = None
    """Key of the record, a template. Unset: the request's id."""
    video: Annotated[str, Field(min_length=1)] | None = None
    """Where the video is, a template: a URL, an absolute path, or s3://, gs://, az://. Unset: the object or file."""
    response_format: Annotated[str, Field(min_length=1)] | None = None
    """A JSON file, beside the rules: a JSON Schema, or the platform's `response_format`."""
    recorded_at: RecordedAt | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """Any other members of the request."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """Echoed on every event; texts are templates."""

    @field_validator("glob", "bucket")
    @classmethod
    def _glob(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                glob_pattern(value)
            except NotAGlob as error:
                raise rule(f"is no glob: {error}") from None
        return value

    @field_validator("match")
    @classmethod
    def _expression(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise rule(f"is no regular expression: {error.msg}") from None
        return value

    def names(self) -> frozenset[str]:
        """The names that templates of this rule may use."""
        groups = frozenset() if self.match is None else frozenset(re.compile(self.match).groupindex)
        return _OF_THE_NAME | _OF_SOURCES | groups

    def unknown_names(self) -> dict[str, str]:
        """Members whose template asks for a name that no event has, with that name."""
        templates = {"tenant": self.tenant, "key": self.key, "video": self.video}
        templates |= {f"metadata.{name}": text for name, text in self.metadata.items() if isinstance(text, str)}
        known = self.names()
        return {
            member: unknown[0]
            for member, template in templates.items()
            if template is not None and (unknown := sorted(names_in(template) - known))
        }

    def values_for(self, arrival: Arrival) -> dict[str, str] | None:
        """What templates may use, when the rule is for this video; None when it is not."""
        if self.source not in (None, arrival.source):
            return None
        if self.bucket is not None and not glob_pattern(self.bucket).fullmatch(arrival.bucket):
            return None
        key = arrival.key
        if not key.startswith(self.prefix):
            return None
        if self.suffix and not key.lower().endswith(tuple(one.lower() for one in self.suffix)):
            return None
        if self.glob is not None and not glob_pattern(self.glob).fullmatch(key):
            return None
        if any(not _one_of(wanted, arrival.fields.get(name)) for name, wanted in self.where.items()):
            return None
        if arrival.size is not None and not (self.min_bytes or 0) <= arrival.size <= (self.max_bytes or arrival.size):
            return None
        groups: dict[str, str] = {}
        if self.match is not None:
            found = re.search(self.match, key)
            if found is None:
                return None
            groups = {name: text for name, text in found.groupdict().items() if text is not None}
        return {**_parts_of(arrival), **arrival.fields, **groups}


def _one_of(wanted: tuple[str, ...], found: str | None) -> bool:
    """A field may hold several texts, separated by commas, as the zones of Frigate do."""
    return found is not None and not set(wanted).isdisjoint({found, *found.split(",")})


def _parts_of(arrival: Arrival) -> dict[str, str]:
    folder, _, name = arrival.key.rpartition("/")
    return {
        "source": arrival.source,
        "bucket": arrival.bucket,
        "key": arrival.key,
        "name": name,
        "stem": name.rpartition(".")[0] or name,
        "folder": folder,
        "size": "" if arrival.size is None else str(arrival.size),
        "version": arrival.version or "",
        **({} if arrival.path is None else {"path": arrival.path}),
    }


class RuleFile(BaseModel):
    """The whole of `rules.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topics: Annotated[tuple[Annotated[str, Field(pattern=_TOPIC)], ...], BeforeValidator(_one_or_more)] = ()
    """Kafka topics with notifications."""
    group: Annotated[str, Field(pattern=_GROUP)] | None = None
    """Consumer group and transactional id. Unset: `kafka.group_id` with `-ingest`."""
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    """The first that is for a video decides."""
