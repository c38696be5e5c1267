"""The options of an emulator, and the pace, which can be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from contracts.platform_limits import (
    DIRECT_UPLOAD_BYTES,
    INLINE_VIDEO_BYTES,
    MULTIPART_UPLOAD_BYTES,
    URL_UPLOAD_BYTES,
)
from service.emulator.bounds import LONGEST_SECONDS, MOST_CHARACTERS, MOST_FRAGMENTS, number, whole_number
from service.emulator.limits.limits import LimitHeaders, Limits, LimitScope

# The settings that are whole numbers: the highest value, and whether there may be none.
_WHOLE = {
    "fragments": (MOST_FRAGMENTS, True),
    "characters": (MOST_CHARACTERS, True),
    "fragment_chars": (MOST_CHARACTERS, False),
}

IdempotencyMode = Literal["honour", "ignore", "conflict"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Latencies and lengths. `POST /_emulator/settings` changes them for requests that come later."""

    time_scale: float = 1.0
    """All latencies below are multiplied by it; with 0 there are none."""
    asset_ready_seconds: float = 0.2
    """The least time from an asset's creation to `ready`; the inspection may take longer."""
    task_queued_seconds: float = 0.2
    """How long a task is `queued`."""
    task_pending_seconds: float = 0.2
    """How long a task is `pending` after that."""
    task_processing_seconds: float = 1.0
    """How long a task is `processing` after that."""
    first_fragment_ms: float = 50.0
    """The time from a stream's request to its `stream_start`."""
    fragment_interval_ms: float = 20.0
    """The time between two lines of a stream; with 0 they are sent as fast as the client reads."""
    sync_seconds: float = 0.2
    """The time until the answer of an analysis without a stream."""
    upload_session_seconds: float = 86_400.0
    """How long an upload session lasts. `time_scale` does not change it, nor the next one."""
    upload_url_seconds: float = 3_600.0
    """How long the URL of a chunk lasts."""
    fragments: int | None = None
    """The number of fragments of each text; None means as many as its length needs."""
    fragment_chars: int = 16
    """The mean length of a fragment, in characters."""
    characters: int | None = None
    """The least length of a text; None means an overview and one or two sentences for each scene."""

    def changed(self, values: dict[str, Any]) -> Pace:
        """A copy with `values`; raises `ValueError` with a message for the caller."""
        known = {item.name for item in fields(self)}
        checked: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"there is no setting {name}; there are {', '.join(sorted(known))}")
            if name in _WHOLE:
                most, optional = _WHOLE[name]
                checked[name] = None if optional and value is None else whole_number(name, value, 1, most)
            else:
                checked[name] = number(name, value, 0, LONGEST_SECONDS * (1000 if name.endswith("_ms") else 1))
        return replace(self, **checked)


@dataclass(frozen=True, slots=True)
class EmulatorOptions:
    """What can't be changed while an emulator runs."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 chooses a free port."""
    api_key: str | None = None
    """The only API key that is accepted; None accepts any that is not empty."""
    state_dir: Path | None = None
    """A directory for the videos and a journal, so that they outlive a restart; None keeps nothing."""
    pace: Pace = field(default_factory=Pace)
    seed: int = 0
    """With another seed, the texts for the same videos differ."""
    idempotency: IdempotencyMode = "honour"
    """What a repeated `Idempotency-Key` gets: the same answer again, no special treatment, or always a 409."""
    idempotency_hours: float = 24.0
    """How long a key is remembered."""
    cancellation: bool = True
    """False refuses every cancel with 403 `api_not_allowed`."""
    strict_parameters: bool = False
    """True answers unknown members with 400 `parameter_unknown`; the default ignores them."""
    flat_errors: bool = False
    """True gives every error the flat shape, also where the platform nests it."""
    stream_content_type: str = "application/x-ndjson"
    limits: Limits = field(default_factory=Limits)
    """What the account may ask for before 429."""
    limit_scope: LimitScope = "organisation"
    """Whether all keys share the limits, or each has its own."""
    limit_headers: LimitHeaders = "plain"
    """Which headers of an answer tell of the limits: `X-Ratelimit-*`, `X-RateLimit-Request-*`, both, none."""
    assets_ready_at_once: bool = False
    """True answers the creation of an asset from a file once it is `ready`, as the platform did until July 2026."""
    strict_assets: bool = False
    """True refuses the analysis of an asset that is still processing; the default waits for it."""
    asset_wait_seconds: float = 600.0
    """How long a synchronous analysis waits for its asset."""
    prompt_limit_tokens: int | None = None
    """The longest prompt. None is the context window; 2,000 is what pegasus1.2 took and some guides still say."""
    direct_limit_bytes: int = DIRECT_UPLOAD_BYTES
    url_limit_bytes: int = URL_UPLOAD_BYTES
    multipart_limit_bytes: int = MULTIPART_UPLOAD_BYTES
    inline_limit_bytes: int = INLINE_VIDEO_BYTES
    """The size of a video inside an analysis, after its base64 is decoded."""
    chunk_bytes: int = 5 * 1024 * 1024
    """The size of a chunk in an upload session."""
    enforce_upload_headers: bool = False
    """True names a header more in `upload_headers`, and refuses a chunk that comes without them; the official SDK
    does not send them."""
    fetch_timeout_seconds: float = 60.0
    """The time to download a whole video that is named by its URL."""
    inspectors: int = 2
    """Worker processes that look into videos."""
    inspection_seconds: float = 15.0
    """A worker that takes longer for a file is killed. A file is tried at most twice."""
    webhook_url: str | None = None
    """An address that is told of the end of each task; more can be registered over the admin endpoint."""
    webhook_secret: str | None = None
    webhook_retry_seconds: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0)
    """The waits between the attempts to tell an address that does not answer 2xx."""
    webhook_timeout_seconds: float = 10.0
    silence_seconds: float = 60.0
    """After this time without a whole request a connection is closed, and so is one whose body stops coming."""

    @property
    def asset_wait(self) -> float:
        """Seconds that a synchronous analysis waits for an asset that is processing."""
        return 0.0 if self.strict_assets else self.asset_wait_seconds
