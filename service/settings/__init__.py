"""Every setting of the service: one frozen model, read from variables `REELWIRE_*` and from a TOML file.

A name carries its unit. A wrong value stops the start with the name of its variable.
"""

from __future__ import annotations

import os
import re
from typing import Any, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from service.errors import SettingsError
from service.settings.account import BatchSettings, CostSettings, QuotaSettings
from service.settings.console import ConsoleSettings
from service.settings.ingest import IngestSettings
from service.settings.kafka import KafkaSettings
from service.settings.secrets import remember_secrets
from service.settings.sections import (
    AssetSettings,
    HttpSettings,
    JobSettings,
    LogSettings,
    PlatformSettings,
    PollSettings,
    SandboxSettings,
    ShutdownSettings,
    SourceSettings,
    TopicSettings,
    WebhookSettings,
    WriterSettings,
)
from service.settings.sources import (
    CONFIG_VARIABLE,
    PREFIX,
    explain,
    read_toml,
    secret_from_file,
    unknown_names,
    variable_of,
)
from service.settings.tracing import TracingSettings

__all__ = [
    "CONFIG_VARIABLE",
    "PREFIX",
    "AssetSettings",
    "BatchSettings",
    "ConsoleSettings",
    "CostSettings",
    "HttpSettings",
    "IngestSettings",
    "JobSettings",
    "KafkaSettings",
    "LogSettings",
    "PlatformSettings",
    "PollSettings",
    "QuotaSettings",
    "SandboxSettings",
    "Settings",
    "ShutdownSettings",
    "SourceSettings",
    "TopicSettings",
    "TracingSettings",
    "WebhookSettings",
    "WriterSettings",
    "load_settings",
    "variable_of",
]


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
    batch: BatchSettings = BatchSettings()
    quota: QuotaSettings = QuotaSettings()
    writer: WriterSettings = WriterSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    assets: AssetSettings = AssetSettings()
    sources: SourceSettings = SourceSettings()
    webhooks: WebhookSettings = WebhookSettings()
    ingest: IngestSettings = IngestSettings()
    cost: CostSettings = CostSettings()
    console: ConsoleSettings = ConsoleSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    sandbox: SandboxSettings = SandboxSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.topics.retention_hours < self.jobs.dedup_hours:
            raise ValueError(
                "REELWIRE_TOPICS__RETENTION_HOURS: must be at least REELWIRE_JOBS__DEDUP_HOURS, "
                "because a duplicate's completion is read again"
            )
        if self.jobs.max_request_bytes > self.kafka.max_message_bytes:
            raise ValueError("REELWIRE_JOBS__MAX_REQUEST_BYTES: must be at most REELWIRE_KAFKA__MAX_MESSAGE_BYTES")
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
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=read_toml())

    def platform_api_key(self) -> str | None:
        """The platform's key from its setting, its file or `TWELVELABS_API_KEY`; None when there is none."""
        key = self.platform.api_key
        if key is not None:
            return key.get_secret_value()
        if self.platform.api_key_file is not None:
            return secret_from_file(self.platform.api_key_file, "REELWIRE_PLATFORM__API_KEY_FILE").get_secret_value()
        return os.environ.get("TWELVELABS_API_KEY") or None

    def webhook_secret(self) -> str | None:
        """The secret that signs webhooks, from its setting or its file; None when there is none."""
        if self.webhooks.secret is not None:
            return self.webhooks.secret.get_secret_value()
        if self.webhooks.secret_file is not None:
            return secret_from_file(self.webhooks.secret_file, "REELWIRE_WEBHOOKS__SECRET_FILE").get_secret_value()
        return None

    def ingest_secret(self) -> str | None:
        """The secret that signs notifications over HTTP, from its setting or its file; None when there is none."""
        return self.ingest.signing_secret()


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; raises `SettingsError` naming each wrong variable and what is wrong with it."""
    file = read_toml()
    lines = unknown_names(Settings, file)
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        lines += explain(error, Settings, file)
        # Never the error's own text: it repeats values, and one of them may be a secret under a misspelt name.
        raise SettingsError("\n".join(lines or ["the settings are not valid"])) from None
    except SourceError as error:  # a whole section given as JSON that is none
        section = re.search(r'field "(\w+)"', str(error))
        name = variable_of((section.group(1),)) if section else "settings"
        raise SettingsError("\n".join([*lines, f"{name}: not a JSON object; set its members one by one"])) from None
    if lines:
        raise SettingsError("\n".join(lines))
    remember_secrets(settings)
    return settings
