"""Settings of the console, the web page that shows what is in the topics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from service.settings.section import Section
from service.settings.sections import listed, one_secret
from service.settings.sources import secret_from_file

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9A-Fa-f]*(:[0-9A-Fa-f]*){2,7}")  # or IPv6
_LEAST_TOKEN = 16
_LEAST_STREAM_SECRET = 32


class ConsoleSettings(Section):
    """The web page of `reelwire console`."""

    host: str = Field("127.0.0.1", description="Address to listen on. Whoever reaches it may read everything shown.")
    port: int = Field(8090, ge=0, le=65_535, description="Port to listen on; 0 takes any free one.")
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names under which browsers may ask for the console, besides IP addresses and localhost; "
        "without scheme and port: console.example.com. Empty: any name, but with a host of this machine alone only "
        "localhost.",
    )
    token: SecretStr | None = Field(
        None,
        description=f"What a person signs in with to redrive, discard and cancel; at least {_LEAST_TOKEN} characters. "
        "Without one the console only shows.",
    )
    token_file: Path | None = Field(None, description="File that holds it, instead of token; read at the start.")
    stream_secret: SecretStr | None = Field(
        None,
        description=f"Secret that signs the tokens of /stream, at least {_LEAST_STREAM_SECRET} characters. Without one "
        "nothing is served there.",
    )
    stream_secret_file: Path | None = Field(
        None, description="File that holds it, instead of stream_secret; read at the start."
    )
    origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may read /stream, such as https://app.example.com. Empty: none but ours."
    )
    ended_requests: int = Field(2_000, ge=1, le=100_000, description="Ended requests that are kept, the latest.")
    text_mib: int = Field(
        64,
        ge=1,
        le=4_096,
        description="MiB of requests, texts and completions that are kept; beyond it the oldest texts are let go of.",
    )
    max_viewers: int = Field(200, ge=1, le=10_000, description="Live streams that are served at once.")

    @field_validator("origins", "hosts", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return listed(value)

    @field_validator("hosts", mode="after")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST.fullmatch(host) for host in value):
            raise ValueError("a host is a name without scheme, port and path, such as console.example.com")
        return value

    @field_validator("origins", mode="after")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [origin for origin in value if not _ORIGIN.fullmatch(origin)]
        if wrong:
            raise ValueError("an origin is a scheme, a host and perhaps a port, such as https://app.example.com")
        return value

    @model_validator(mode="after")
    def _secrets(self) -> Self:
        one_secret("console", "token", self.token, self.token_file)
        one_secret("console", "stream_secret", self.stream_secret, self.stream_secret_file)
        for variable, secret, least in (
            ("REELWIRE_CONSOLE__TOKEN", self.sign_in_token(), _LEAST_TOKEN),
            ("REELWIRE_CONSOLE__STREAM_SECRET", self.signing_secret(), _LEAST_STREAM_SECRET),
        ):
            if secret is not None and len(secret) < least:
                raise ValueError(f"{variable}: must have at least {least} characters, such as: openssl rand -hex 32")
        return self

    def sign_in_token(self) -> str | None:
        """What a person signs in with, from its setting or its file; None when actions are off."""
        return _secret(self.token, self.token_file, "REELWIRE_CONSOLE__TOKEN_FILE")

    def signing_secret(self) -> str | None:
        """What signs stream tokens, from its setting or its file; None when none are taken."""
        return _secret(self.stream_secret, self.stream_secret_file, "REELWIRE_CONSOLE__STREAM_SECRET_FILE")


def _secret(value: SecretStr | None, file: Path | None, variable: str) -> str | None:
    if value is not None:
        return value.get_secret_value()
    return None if file is None else secret_from_file(file, variable).get_secret_value()
