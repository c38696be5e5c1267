"""How an emulator is set up, and the pace that can be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from contracts.platform_limits import DIRECT_UPLOAD_BYTES, INLINE_VIDEO_BYTES, URL_UPLOAD_BYTES
from service.emulator.bounds import LONGEST_SECONDS, MOST_CHARACTERS, MOST_FRAGMENTS, number, whole_number

# The settings that are whole numbers: the highest value, and whether there may be none.
_WHOLE = {
    "fragments": (MOST_FRAGMENTS, True),
    "characters": (MOST_CHARACTERS, True),
    "fragment_chars": (MOST_CHARACTERS, False),
}

IdempotencyMode = Literal["honour", "ignore", "conflict"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Latencies and lengths; `POST /_emulator/settings` replaces any of them for what begins afterwards."""

    time_scale: float = 1.0
    """Every latency below is multiplied by it; 0 makes all of them vanish."""
    asset_ready_seconds: float = 0.2
    """From an asset's creation to `ready`, at least; the inspection may take longer."""
    task_queued_seconds: float = 0.2
    """How long a task is `queued`."""
    task_pending_seconds: float = 0.2
    """How long it is `pending` after that."""
    task_processing_seconds: float = 1.0
    """How long it is `processing` after that."""
    first_fragment_ms: float = 50.0
    """From a stream's request to its `stream_start`."""
    fragment_interval_ms: float = 20.0
    """Between two lines of a stream; 0 sends them as fast as they are taken."""
    sync_seconds: float = 0.2
    """Until the answer of an analysis without a stream."""
    fragments: int | None = None
    """Fragments of each text; None lets the text's own length decide."""
    fragment_chars: int = 16
    """Mean length of a fragment, in characters."""
    characters: int | None = None
    """Least length of a generated text; None is one overview and a sentence or two for each scene."""

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
    """What is fixed for the life of an emulator."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 chooses a free port."""
    api_key: str | None = None
    """The only key that is let in; None takes any that is not empty."""
    state_dir: Path | None = None
    """Where assets' bytes and a journal are kept, so that a restart knows them; None keeps all in memory."""
    pace: Pace = field(default_factory=Pace)
    seed: int = 0
    """Another seed tells the same videos in other words."""
    idempotency: IdempotencyMode = "honour"
    """A known `Idempotency-Key`: answered again, ignored, or refused with 409 whatever the body."""
    idempotency_hours: float = 24.0
    """How long a key is remembered."""
    cancellation: bool = True
    """False refuses every cancel with 403 `api_not_allowed`."""
    strict_parameters: bool = False
    """True answers unknown members with 400 `parameter_unknown`; the default ignores them."""
    flat_errors: bool = False
    """True gives every error the flat shape, also where the platform nests it."""
    stream_content_type: str = "application/x-ndjson"
    upload_rpm: int | None = None
    """Asset creations a minute before 429; None is no limit."""
    analyze_rpm: int | None = None
    """Analyses and task creations a minute before 429; None is no limit."""
    direct_limit_bytes: int = DIRECT_UPLOAD_BYTES
    url_limit_bytes: int = URL_UPLOAD_BYTES
    inline_limit_bytes: int = INLINE_VIDEO_BYTES
    """Of a video inside an analysis, after its base64 was decoded."""
    fetch_timeout_seconds: float = 60.0
    """For a whole video that is named by its URL."""
    inspectors: int = 2
    """Worker processes that look into videos."""
    inspection_seconds: float = 15.0
    """Of the wall clock: a worker that takes longer for a file is killed. A file is tried at most twice."""
    silence_seconds: float = 60.0
    """A connection on which no whole request begins for so long is closed, and so is one whose body stops coming."""
