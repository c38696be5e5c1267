"""The sections of the settings, but Kafka's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from contracts.platform_limits import DIRECT_UPLOAD_BYTES
from service.settings.section import Section
from service.settings.sources import secret_from_file, shown, variable_of

_TOPIC_NAME = r"^[A-Za-z0-9._-]{1,249}$"


def listed(value: Any) -> Any:
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


def one_secret(section: str, name: str, value: SecretStr | None, file: Path | None) -> None:
    """A secret is given as a value or as a readable file, not as both."""
    if file is None:
        return
    if value is not None:
        both = f"{variable_of((section, name))} and {variable_of((section, name + '_file'))}"
        raise ValueError(f"{both}: only one of them may be set")
    secret_from_file(file, variable_of((section, name + "_file")))


class TopicSettings(Section):
    """Names and shape of the topics; `reelwire topics create` makes them."""

    requests: str = Field("video.analysis.requests.v1", pattern=_TOPIC_NAME, description="Topic of requests.")
    fragments: str = Field(
        "video.analysis.fragments.v1", pattern=_TOPIC_NAME, description="Topic of generated text, live."
    )
    completions: str = Field(
        "video.analysis.completions.v1", pattern=_TOPIC_NAME, description="Topic of the last word on each request."
    )
    progress: str = Field(
        "video.analysis.progress.v1",
        pattern=_TOPIC_NAME,
        description="Topic of what happens between a request and its completion.",
    )
    dead_letters: str = Field(
        "video.analysis.requests.v1.dlq", pattern=_TOPIC_NAME, description="Topic of records that are no requests."
    )
    jobs: str = Field(
        "video.analysis.jobs.v1", pattern=_TOPIC_NAME, description="Private topic: the state of live jobs."
    )
    finished: str = Field(
        "video.analysis.finished.v1", pattern=_TOPIC_NAME, description="Private topic: which requests have ended."
    )
    assets: str = Field(
        "video.analysis.assets.v1",
        pattern=_TOPIC_NAME,
        description="Private topic: which video is which asset of the platform.",
    )
    handovers: str = Field(
        "video.analysis.handovers.v1",
        pattern=_TOPIC_NAME,
        description="Private topic: what goes on in processes that have lost its partition, and how it ends.",
    )
    ledger: str = Field(
        "video.analysis.ledger.v1",
        pattern=_TOPIC_NAME,
        description="Private topic: who may use how much of the account's quota.",
    )
    create: bool = Field(default=False, description="Let the service create missing topics at its start.")
    partitions: int = Field(6, ge=1, le=10_000, description="Partitions of a topic when it is created.")
    replication: int = Field(1, ge=1, description="Replicas of each partition when a topic is created.")
    retention_hours: float = Field(
        168, gt=0, description="How long created topics keep records; at least jobs.dedup_hours."
    )
    dead_letter_retention_hours: float = Field(
        90 * 24, gt=0, description="How long a created topic keeps dead letters."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        seen: dict[str, str] = {}
        for name in (
            "requests", "fragments", "completions", "progress", "dead_letters", "jobs", "finished", "assets",
            "handovers", "ledger",
        ):  # fmt: skip
            variable, topic = variable_of(("topics", name)), getattr(self, name)
            if topic in seen:
                raise ValueError(f"{variable}: is the same topic as {seen[topic]}")
            seen[topic] = variable
        return self


class PlatformSettings(Section):
    """The video-understanding platform."""

    base_url: str = Field(
        "https://api.twelvelabs.io/v1.3",
        pattern=r"^https?://[^\s]+$",
        description="Address of the platform's API, with its version.",
    )
    api_key: SecretStr | None = Field(
        None,
        description="Key of the platform's account; TWELVELABS_API_KEY is read when neither this nor the file is set.",
    )
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of api_key.")
    connect_timeout_seconds: float = Field(10, gt=0, description="Limit for name look-up, connection and TLS together.")
    read_timeout_seconds: float = Field(60, gt=0, description="Longest wait for bytes of an answer to a small call.")
    sync_timeout_seconds: float = Field(
        600, gt=0, description="Longest wait for bytes of an answer to a synchronous analysis."
    )
    stream_idle_seconds: float = Field(300, gt=0, description="Longest pause between two events of a stream.")
    upload_timeout_seconds: float = Field(3600, gt=0, description="Limit for one upload.")
    max_uploads: int = Field(8, ge=1, description="Uploads at once.")
    session_from_bytes: int = Field(
        DIRECT_UPLOAD_BYTES,
        ge=1,
        le=DIRECT_UPLOAD_BYTES,
        description="Files larger than this are sent in chunks, in an upload session that another process can go on "
        "with; smaller ones in one request.",
    )
    chunks_per_upload: int = Field(4, ge=1, description="Chunks of one video that are sent at once.")
    max_chunks: int = Field(16, ge=1, description="Chunks of large videos that are sent at once, of all uploads.")
    max_calls: int = Field(64, ge=1, description="Small calls at once.")
    max_line_bytes: int = Field(4 * 1024 * 1024, ge=1024, description="Longest line of a stream.")
    asset_poll_seconds: float = Field(
        2,
        gt=0,
        description="Longest time between two looks at an asset that is not ready; a new one is looked at sooner.",
    )
    asset_timeout_seconds: float = Field(1800, gt=0, description="Longest wait for an asset to be ready.")

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        one_secret("platform", "api_key", self.api_key, self.api_key_file)
        return self


class HttpSettings(Section):
    """Where health and metrics are served."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all of IPv4.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 chooses a free one and logs it.")
    max_connections: int = Field(
        256, ge=8, description="Connections at once. Above it, the one that has waited longest is closed."
    )
    request_timeout_seconds: float = Field(
        10,
        gt=0,
        description="How long a connection may bring no whole request, or take no answer, until it is closed.",
    )


class JobSettings(Section):
    """Admission and fate of jobs."""

    max_in_flight: int = Field(10_000, ge=1, description="Jobs held by the process; intake pauses above.")
    max_held_bytes: int = Field(
        128 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes of requests held by the process, about half of the memory they take. Intake pauses above "
        "it; at a takeover, what is above it stays in the jobs topic until there is room.",
    )
    max_streams: int = Field(200, ge=1, description="Streams and synchronous calls at once.")
    max_creates: int = Field(16, ge=1, description="Task creations at once.")
    ordering: Literal["none", "key"] = Field("none", description="With key, requests of one key run one after another.")
    dedup_hours: float = Field(168, gt=0, description="How long the id of a request is remembered after its end.")
    max_attempts: int = Field(
        4,
        ge=1,
        description="How often one request may be paid for, and how often its own work may fail, before it fails.",
    )
    max_request_bytes: int = Field(
        1024 * 1024, ge=1024, description="Largest value of a request; a larger one is a dead letter, too_large."
    )
    retry_initial_seconds: float = Field(
        1, gt=0, description="Pause before the first repetition of a call; later pauses are longer."
    )
    retry_max_seconds: float = Field(60, gt=0, description="Longest pause between two repetitions.")
    patience_seconds: float = Field(
        900, ge=0, description="How long a platform that answers with errors is waited for, per job."
    )
    task_patience_seconds: float = Field(
        86_400,
        ge=0,
        description="How long a task whose status stands still is waited for; also quota, a refused key, a connection.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.retry_max_seconds < self.retry_initial_seconds:
            raise ValueError("REELWIRE_JOBS__RETRY_MAX_SECONDS: must be at least REELWIRE_JOBS__RETRY_INITIAL_SECONDS")
        return self


class PollSettings(Section):
    """How often a task is looked at: younger tasks more often."""

    initial_seconds: float = Field(2, gt=0, description="Time between two looks at a task that was just created.")
    max_seconds: float = Field(15, gt=0, description="Time between two looks at an old task.")
    webhook_seconds: float = Field(
        60, gt=0, description="Time between two looks at any task while the platform's webhooks arrive reliably."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_seconds < self.initial_seconds:
            raise ValueError("REELWIRE_POLL__MAX_SECONDS: must be at least REELWIRE_POLL__INITIAL_SECONDS")
        return self


Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]


class WriterSettings(Section):
    """How records are gathered and compressed before they are sent."""

    linger_ms: float = Field(
        10,
        ge=0,
        description="How long a partition's writer gathers records after a transaction before it begins the next one.",
    )
    compression: Compression = Field(
        "none", description="Codec of what is written in transactions: completions, progress events, job states."
    )
    live_compression: Compression = Field(
        "none", description="Codec of what is sent at once: fragments and upload claims."
    )


class ShutdownSettings(Section):
    """What SIGTERM waits for."""

    drain_seconds: float = Field(
        25, ge=0, description="How long streams go on here after SIGTERM, while others serve the partitions."
    )


class AssetSettings(Section):
    """Reuse of uploaded videos."""

    reuse_hours: float = Field(168, gt=0, description="How long after its last use an uploaded video is used again.")
    scope: Literal["shared", "tenant"] = Field(
        "shared",
        description="With tenant, no tenant is given another's asset: each uploads its own. Requests without a tenant "
        "share theirs among themselves.",
    )
    claim_seconds: float = Field(15, gt=0, description="A claim to an upload that is not renewed ends after this time.")
    delete_after_hours: float | None = Field(
        None, gt=0, description="How long after their last use by a request our assets are deleted. Unset: never."
    )
    sweep_seconds: float = Field(900, gt=0, description="Time between two looks for assets that are to be deleted.")


class SourceSettings(Section):
    """What a request may make us read. Empty: nothing."""

    file_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Folders whose files a request may name; empty: none."
    )
    object_prefixes: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Places in object stores that a request may name (s3://, gs://, az://); empty: none."
    )

    file_timeout_seconds: float = Field(
        30,
        gt=0,
        description="Longest wait for one call of the file system or of an object store; beyond it the video counts "
        "as unreadable.",
    )
    object_urls: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether the platform fetches objects by itself, from signed URLs: `auto` when the store has a "
        "public address, `never` sends the bytes through this process.",
    )
    object_url_hours: int = Field(24, ge=1, le=168, description="How long such a URL is good for.")

    @field_validator("file_roots", "object_prefixes", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return listed(value)

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
                raise ValueError(f"{shown(prefix)} does not begin with s3://, gs:// or az:// and a bucket")
        return value


class WebhookSettings(Section):
    """Signed notifications of the platform."""

    secret: SecretStr | None = Field(
        None,
        description="Secret that signs the platform's webhooks; several, separated by spaces, while it is replaced. "
        "Without one no webhooks are taken.",
    )
    secret_file: Path | None = Field(
        None, description="File with a secret in each line, instead of secret; read again when it changes."
    )

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        one_secret("webhooks", "secret", self.secret, self.secret_file)
        return self

    @property
    def configured(self) -> bool:
        """Whether webhooks are taken at all."""
        return self.secret is not None or self.secret_file is not None


class LogSettings(Section):
    """Structured logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is written.")
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="json for programs, console for people; auto: console on a terminal, else json."
    )


class SandboxSettings(Section):
    """The broker of demo and tests."""

    broker: Literal["auto", "docker", "local"] = Field(
        "auto",
        description="Where demo and tests get a broker from; auto takes Docker where it answers, else a local process.",
    )
