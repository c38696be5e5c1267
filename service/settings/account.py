"""Settings of the account at the platform: what it may do, and what that costs."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from contracts.platform_limits import BATCH_ITEMS
from service.settings.section import Section


class QuotaSettings(Section):
    """What the platform's account may do: for all processes together. Unset: as much as the platform takes."""

    requests_per_minute: int | None = Field(
        None, ge=1, description="Analyses that are begun in a minute: streams, synchronous calls, tasks. Unset: any."
    )
    requests_per_day: int | None = Field(None, ge=1, description="The same in a UTC day. Unset: any.")
    uploads_per_minute: int | None = Field(None, ge=1, description="Assets that are created in a minute. Unset: any.")
    uploads_per_day: int | None = Field(None, ge=1, description="The same in a UTC day. Unset: any.")

    video_minutes_per_hour: int | None = Field(
        None, ge=1, description="Minutes of video whose analysis is begun in an hour. Unset: any."
    )
    video_minutes_per_day: int | None = Field(None, ge=1, description="The same in a UTC day. Unset: any.")
    output_tokens_per_minute: int | None = Field(
        None,
        ge=1,
        description="Tokens that are generated in a minute. The most that an analysis may have counts when it is "
        "begun, what it did have when it has ended. Unset: any.",
    )
    output_tokens_per_day: int | None = Field(None, ge=1, description="The same in a UTC day. Unset: any.")

    max_running: int | None = Field(
        None, ge=1, description="Analyses that are at the platform at once, of all processes together. Unset: any."
    )
    max_running_per_tenant: int | None = Field(
        None, ge=1, description="The same for each tenant; requests without one are one tenant together. Unset: any."
    )

    def of(self, category: str) -> tuple[int | None, int | None]:
        """The limits of a category of the ledger: in its window, and in a UTC day. Video is counted in seconds."""
        match category:
            case "analyze":
                return self.requests_per_minute, self.requests_per_day
            case "upload":
                return self.uploads_per_minute, self.uploads_per_day
            case "video_seconds":
                return _seconds(self.video_minutes_per_hour), _seconds(self.video_minutes_per_day)
            case "output_tokens":
                return self.output_tokens_per_minute, self.output_tokens_per_day
            case _:
                raise ValueError(f"there is no category {category}")

    @property
    def running_limited(self) -> bool:
        """Whether there is a cap on what runs at once."""
        return self.max_running is not None or self.max_running_per_tenant is not None

    @property
    def limited(self) -> bool:
        """Whether anything is to be shared out."""
        return self.running_limited or any(
            any(self.of(one)) for one in ("analyze", "upload", "video_seconds", "output_tokens")
        )


def _seconds(minutes: int | None) -> int | None:
    return None if minutes is None else minutes * 60


class BatchSettings(Section):
    """Batches of the platform, for requests with `"batch": true`."""

    max_items: int = Field(
        BATCH_ITEMS,
        ge=2,
        le=BATCH_ITEMS,
        description="How many tasks a batch has at most: it is created when it is full.",
    )
    max_seconds: float = Field(
        60,
        gt=0,
        description="How long the first task of a batch waits at most: then it is created, even with few.",
    )


class CostSettings(Section):
    """What the platform charges, for `usage.estimated_cost` of completions, and how much of it may be spent.

    Without prices nothing is estimated.
    """

    per_minute: float | None = Field(None, ge=0, description="Price of a minute of analysed video.")
    per_1000_output_tokens: float | None = Field(None, ge=0, description="Price of 1,000 tokens of generated text.")
    currency: str | None = Field(
        None, min_length=1, max_length=16, description="Currency of the prices, such as USD; told beside each cost."
    )
    daily_limit: float | None = Field(
        None, gt=0, description="Most that all requests together may cost in a UTC day. Unset: any amount."
    )
    daily_limit_per_tenant: float | None = Field(
        None, gt=0, description="Most that the requests of one tenant may cost in a UTC day. Unset: any amount."
    )

    @property
    def limited(self) -> bool:
        """Whether there is a limit of spending."""
        return self.daily_limit is not None or self.daily_limit_per_tenant is not None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.limited and self.per_minute is None and self.per_1000_output_tokens is None:
            name = "DAILY_LIMIT" if self.daily_limit is not None else "DAILY_LIMIT_PER_TENANT"
            raise ValueError(
                f"REELWIRE_COST__{name}: needs a price, REELWIRE_COST__PER_MINUTE or "
                "REELWIRE_COST__PER_1000_OUTPUT_TOKENS, to know what a request costs"
            )
        return self
