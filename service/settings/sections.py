"""The sections of the settings, but Kafka's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from service.settings.section import Section
from service.settings.sources import secret_from_file, variable_of

_TOPIC_NAME = r"^[A-Za-z0-9._-]{1,249}$"


def _listed(value: Any) -> Any:
    """Accept a JSON list, or a plain list separated by commas, for settings that are lists."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"neither a JSON list nor one separated by commas: {error}") from None


def _one_secret(section: str, name: str, value: SecretStr | None, file: Path | None) -> None:
    """A secret is given as a value or as a readable file, not as both."""
    if file is None:
        return
    if value is not None:
        both = f"{variable_of((section, name))} and {variable_of((section, name + '_file'))}"
        raise ValueError(f"{both}: only one of them may be set")
    secret_from_file(file, variable_of((section, name + "_file")))


class TopicSettings(Section):
    """Names and shape of the topics; `reelwire topics create` makes them."""

    requests: str = Field("video.analysis.requests.v1", pattern=_TOPIC_NAME)
    fragments: str = Field("video.analysis.fragments.v1", pattern=_TOPIC_NAME)
    completions: str = Field("video.analysis.completions.v1", pattern=_TOPIC_NAME)
    progress: str = Field("video.analysis.progress.v1", pattern=_TOPIC_NAME)
    dead_letters: str = Field("video.analysis.requests.v1.dlq", pattern=_TOPIC_NAME)
    jobs: str = Field("video.analysis.jobs.v1", pattern=_TOPIC_NAME)
    finished: str = Field("video.analysis.finished.v1", pattern=_TOPIC_NAME)
    assets: str = Field("video.analysis.assets.v1", pattern=_TOPIC_NAME)
    create: bool = Field(default=False, description="let the service create missing topics at its start")
    partitions: int = Field(6, ge=1, le=10_000)
    replication: int = Field(1, ge=1)
    retention_hours: float = Field(168, gt=0)
    dead_letter_retention_hours: float = Field(90 * 24, gt=0)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        seen: dict[str, str] = {}
        for name in (
            "requests", "fragments", "completions", "progress", "dead_letters", "jobs", "finished", "assets"
        ):  # fmt: skip
            variable, topic = variable_of(("topics", name)), getattr(self, name)
            if topic in seen:
                raise ValueError(f"{variable}: is the same topic as {seen[topic]}")
            seen[topic] = variable
        return self


class PlatformSettings(Section):
    """The video-understanding platform."""

    base_url: str = Field("https://api.twelvelabs.io/v1.3", pattern=r"^https?://[^\s]+$")
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    connect_timeout_seconds: float = Field(10, gt=0)
    read_timeout_seconds: float = Field(60, gt=0)
    sync_timeout_seconds: float = Field(600, gt=0, description="a response to a synchronous analysis may take long")
    stream_idle_seconds: float = Field(300, gt=0, description="longest pause between two events of a stream")
    upload_timeout_seconds: float = Field(3600, gt=0)
    max_uploads: int = Field(8, ge=1, description="uploads at once")
    max_calls: int = Field(64, ge=1, description="small calls at once")
    max_line_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="longest line of a stream")
    asset_poll_seconds: float = Field(2, gt=0)
    asset_timeout_seconds: float = Field(1800, gt=0, description="longest wait for an asset to be ready")

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        _one_secret("platform", "api_key", self.api_key, self.api_key_file)
        return self


class HttpSettings(Section):
    """Where health and metrics are served."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535, description="0 chooses a free port and logs it")


class JobSettings(Section):
    """Admission and fate of jobs."""

    max_in_flight: int = Field(10_000, ge=1, description="jobs held by the process; intake pauses above")
    max_streams: int = Field(200, ge=1, description="streams and synchronous calls at once")
    max_creates: int = Field(16, ge=1, description="task creations at once")
    ordering: Literal["none", "key"] = "none"
    dedup_hours: float = Field(168, gt=0)
    max_attempts: int = Field(4, ge=1, description="billed attempts of one job before it fails")
    max_request_bytes: int = Field(1024 * 1024, ge=1024, description="a larger request is a dead letter, too_large")
    retry_initial_seconds: float = Field(1, gt=0)
    retry_max_seconds: float = Field(60, gt=0)
    patience_seconds: float = Field(
        900, ge=0, description="how long a platform that answers with errors is waited for, per job"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.retry_max_seconds < self.retry_initial_seconds:
            raise ValueError("REELWIRE_JOBS__RETRY_MAX_SECONDS: must be at least REELWIRE_JOBS__RETRY_INITIAL_SECONDS")
        return self


class PollSettings(Section):
    """How often a task is looked at: younger tasks more often."""

    initial_seconds: float = Field(2, gt=0)
    max_seconds: float = Field(15, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_seconds < self.initial_seconds:
            raise ValueError("REELWIRE_POLL__MAX_SECONDS: must be at least REELWIRE_POLL__INITIAL_SECONDS")
        return self


class WriterSettings(Section):
    """Group commit of a partition's writer."""

    linger_ms: float = Field(10, ge=0)


class ShutdownSettings(Section):
    """What SIGTERM waits for."""

    drain_seconds: float = Field(
        25, ge=0, description="streams may end within this time; tasks are left to the next owner"
    )


class AssetSettings(Section):
    """Reuse of uploaded videos."""

    reuse_hours: float = Field(
        168, gt=0, description="an uploaded video is used again for this long after its last use"
    )
    scope: Literal["shared", "tenant"] = Field(
        "shared",
        description="tenant: no tenant is given another's asset, at the price of an upload for each; "
        "requests without a tenant share theirs among themselves",
    )
    claim_seconds: float = Field(15, gt=0, description="a claim to an upload that is not renewed ends after this time")


class SourceSettings(Section):
    """What a request may make us read. Empty: nothing."""

    file_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    object_prefixes: Annotated[tuple[str, ...], NoDecode] = ()
    file_timeout_seconds: float = Field(
        30, gt=0, description="longest wait for one call of the file system; beyond it the file counts as unreadable"
    )

    @field_validator("file_roots", "object_prefixes", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return _listed(value)

    @field_validator("file_roots")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for path in value:
            if not path.is_absolute():
                raise ValueError(f"{path} is not an absolute path")
        return value

    @field_validator("object_prefixes")
    @classmethod
    def _schemes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for prefix in value:
            if not re.match(r"^(s3|gs|az)://[^/\s]+", prefix):
                raise ValueError(f"{prefix!r} does not begin with s3://, gs:// or az:// and a bucket")
        return value


class WebhookSettings(Section):
    """Signed notifications of the platform."""

    secret: SecretStr | None = None
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        _one_secret("webhooks", "secret", self.secret, self.secret_file)
        return self


class LogSettings(Section):
    """Structured logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"


class SandboxSettings(Section):
    """The broker of demo and tests."""

    broker: Literal["auto", "docker", "local"] = "auto"
