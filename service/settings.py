"""Every setting of the service: one frozen model, read from `REELWIRE_*` and from a TOML file.

Names that other people's programs rely on are fixed by the contract; the rest may grow. Units are in
the names. A wrong value stops the start with the name of its variable.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from service.errors import SettingsError

PREFIX = "REELWIRE_"
CONFIG_VARIABLE = "REELWIRE_CONFIG"


def _listed(value: Any) -> Any:
    """Accept a JSON list, or a plain list separated by commas, for settings that are lists."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return orjson.loads(text)
    return [part.strip() for part in text.split(",") if part.strip()]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class KafkaSettings(_Section):
    """Connection and group membership."""

    bootstrap_servers: str = Field("127.0.0.1:9092", min_length=1, description="host:port, separated by commas")
    group_id: str = Field("reelwire", min_length=1)
    client_id: str = "reelwire"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    delivery: Literal["exactly_once", "at_least_once"] = Field(
        "exactly_once", description="at_least_once for brokers that forbid transactions"
    )
    session_timeout_ms: int = Field(10_000, ge=1_000, description="after that long without a heartbeat we are dead")
    heartbeat_interval_ms: int = Field(1_000, ge=100)
    rebalance_timeout_ms: int = Field(30_000, ge=1_000)
    request_timeout_ms: int = Field(15_000, ge=1_000)
    transaction_timeout_ms: int = Field(30_000, ge=1_000)
    call_timeout_seconds: float = Field(30, gt=0, description="limit for every call of a producer")
    max_message_bytes: int = Field(
        8 * 1024 * 1024, ge=1024, description="largest record of the requests topic; dead letters take 64 KiB more"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.security_protocol.startswith("SASL") and (not self.sasl_username or not self.sasl_password):
            raise ValueError("kafka.sasl_username and kafka.sasl_password are needed with " + self.security_protocol)
        if self.heartbeat_interval_ms * 3 > self.session_timeout_ms:
            raise ValueError("kafka.heartbeat_interval_ms must be at most a third of kafka.session_timeout_ms")
        return self


class TopicSettings(_Section):
    """Names and shape of the topics; `reelwire topics create` makes them."""

    requests: str = "video.analysis.requests.v1"
    fragments: str = "video.analysis.fragments.v1"
    completions: str = "video.analysis.completions.v1"
    progress: str = "video.analysis.progress.v1"
    dead_letters: str = "video.analysis.requests.v1.dlq"
    jobs: str = "video.analysis.jobs.v1"
    finished: str = "video.analysis.finished.v1"
    assets: str = "video.analysis.assets.v1"
    create: bool = Field(False, description="let the service create missing topics at its start")
    partitions: int = Field(6, ge=1, le=10_000)
    replication: int = Field(1, ge=1)
    retention_hours: float = Field(168, gt=0)
    dead_letter_retention_hours: float = Field(90 * 24, gt=0)


class PlatformSettings(_Section):
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


class HttpSettings(_Section):
    """Where health and metrics are served."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535, description="0 chooses a free port and logs it")


class JobSettings(_Section):
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
    model_name: str = Field("pegasus1.5", description="sent when a request names no model")


class PollSettings(_Section):
    """How often a task is looked at: younger tasks more often."""

    initial_seconds: float = Field(2, gt=0)
    max_seconds: float = Field(15, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_seconds < self.initial_seconds:
            raise ValueError("poll.max_seconds must be at least poll.initial_seconds")
        return self


class WriterSettings(_Section):
    """Group commit of a partition's writer."""

    linger_ms: float = Field(10, ge=0)


class ShutdownSettings(_Section):
    """What SIGTERM waits for."""

    drain_seconds: float = Field(25, ge=0, description="streams may end within this time; tasks are left to the next owner")


class AssetSettings(_Section):
    """Reuse of uploaded videos."""

    reuse_hours: float = Field(168, gt=0)
    claim_seconds: float = Field(15, gt=0, description="a claim to an upload that is not renewed ends after this time")


class SourceSettings(_Section):
    """What a request may make us read. Empty: nothing."""

    file_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    object_prefixes: Annotated[tuple[str, ...], NoDecode] = ()

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {name: _listed(value) for name, value in data.items()}
        return data


class WebhookSettings(_Section):
    """Signed notifications of the platform."""

    secret: SecretStr | None = None
    secret_file: Path | None = None


class LogSettings(_Section):
    """Structured logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"


class SandboxSettings(_Section):
    """The broker of demo and tests."""

    broker: Literal["auto", "docker", "local"] = "auto"


class Settings(BaseSettings):
    """All settings. Build with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="ignore", validate_default=True
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    platform: PlatformSettings = PlatformSettings()
    http: HttpSettings = HttpSettings()
    jobs: JobSettings = JobSettings()
    poll: PollSettings = PollSettings()
    writer: WriterSettings = WriterSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    assets: AssetSettings = AssetSettings()
    sources: SourceSettings = SourceSettings()
    webhooks: WebhookSettings = WebhookSettings()
    log: LogSettings = LogSettings()
    sandbox: SandboxSettings = SandboxSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.topics.retention_hours < self.jobs.dedup_hours:
            raise ValueError(
                "topics.retention_hours must be at least jobs.dedup_hours: a duplicate's completion is read again"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before environment before file."""
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        path = os.environ.get(CONFIG_VARIABLE)
        if path:
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=Path(path)))
        return tuple(sources)

    def platform_api_key(self) -> str | None:
        """The platform's key from its setting, its file or `TWELVELABS_API_KEY`; None when there is none."""
        key = self.platform.api_key
        if key is not None:
            return key.get_secret_value()
        if self.platform.api_key_file is not None:
            return self.platform.api_key_file.read_text(encoding="utf-8").strip()
        return os.environ.get("TWELVELABS_API_KEY")


def variable_of(location: tuple[int | str, ...]) -> str:
    """The environment variable that sets the member at `location`."""
    return PREFIX + "__".join(str(part).upper() for part in location if not isinstance(part, int))


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; raises `SettingsError` naming each wrong variable and what is wrong with it."""
    path = os.environ.get(CONFIG_VARIABLE)
    if path and not Path(path).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE} names {path}, which is not a file")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [f"{variable_of(item['loc']) if item['loc'] else 'settings'}: {item['msg']}" for item in error.errors()]
        raise SettingsError("\n".join(lines)) from None
    except ValueError as error:
        raise SettingsError(str(error)) from None
