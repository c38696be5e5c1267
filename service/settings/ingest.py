"""Settings of `reelwire ingest`: what becomes requests is said by its rules, how it works is said here."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from service.settings.secrets import secret_words
from service.settings.section import Section
from service.settings.sections import one_secret
from service.settings.sources import secret_from_file

_LEAST_SECRET = 16


class IngestSettings(Section):
    """How `reelwire ingest` makes requests out of notifications and files."""

    remember_hours: float = Field(
        24,
        gt=0,
        le=168,
        description="How long it is remembered which requests were sent. A notification that comes again within this "
        "time sends nothing.",
    )
    max_remembered: int = Field(
        1_000_000,
        ge=1_000,
        description="Most requests that are remembered, about 150 bytes each. Beyond it the oldest are forgotten.",
    )
    secret: SecretStr | None = Field(
        None,
        description="Secret that notifications over HTTP are signed with, of at least "
        f"{_LEAST_SECRET} characters; several, separated by spaces, while it is replaced. Without one none are taken.",
    )
    secret_file: Path | None = Field(
        None, description="File with a secret in each line, instead of secret; read again when it changes."
    )
    quiet_seconds: float = Field(
        10, gt=0, description="How long size and time of a file in a watched folder must stand still before it is sent."
    )
    scan_seconds: float = Field(5, gt=0, description="Time between two looks at a watched folder.")

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        one_secret("ingest", "secret", self.secret, self.secret_file)
        self.signing_secret()
        return self

    @property
    def webhooks(self) -> bool:
        """Whether notifications over HTTP are taken at all."""
        return self.secret is not None or self.secret_file is not None

    def signing_secret(self) -> str | None:
        """The secrets out of their setting or their file, as one text; None when there is none.

        Raises `ValueError` when one of them is too short: whoever guesses it makes the service pay.
        """
        if self.secret is not None:
            variable, text = "REELWIRE_INGEST__SECRET", self.secret.get_secret_value()
        elif self.secret_file is not None:
            variable = "REELWIRE_INGEST__SECRET_FILE"
            text = secret_from_file(self.secret_file, variable).get_secret_value()
        else:
            return None
        words = secret_words(text)
        if not words or min(map(len, words)) < _LEAST_SECRET:
            which = "must have" if len(words) < 2 else "each secret must have"
            raise ValueError(f"{variable}: {which} at least {_LEAST_SECRET} characters, such as: openssl rand -hex 32")
        return text
