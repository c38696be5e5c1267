"""What can happen to a job. Facts are reported by work, timers, intake and takeovers; the domain knows nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class FailureKind(StrEnum):
    """Why a call failed; ordered by what may have been billed."""

    NOT_SENT = "not_sent"  # no connection: certainly nothing happened
    LIMITED = "limited"  # 429: no quota
    UNAUTHORIZED = "unauthorized"  # 401, or 403 for the whole account: our fault, not the request's
    BUSY = "busy"  # turned away before any work: a 5xx that comes at once, 408, 425
    SERVER = "server"  # a 504, or a 5xx that came late: the work may have been done all the same
    REJECTED = "rejected"  # any other 4xx: meant for this request
    UNKNOWN = "unknown"  # sent, and no complete answer
    BROKEN = "broken"  # a stream that had begun was cut
    UNDELIVERED = "undelivered"  # Kafka did not take a fragment of the stream


@dataclass(frozen=True, slots=True)
class PlatformErrorDetail:
    """What the platform said of an error, untouched."""

    status: int | None
    code: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call. `retry_after_seconds` is the platform's wish."""

    kind: FailureKind
    message: str
    platform: PlatformErrorDetail | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished generation."""

    text: str
    finish_reason: str | None
    generation_id: str | None
    output_tokens: int | None = None
    input_tokens: int | None = None
    warning_code: str | None = None
    warning_message: str | None = None
    fragments: int = 0
    first_fragment_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Go on with a job: a new one, or one just restored (then `restored`, and what it was doing was cut off)."""

    restored: bool = False


@dataclass(frozen=True, slots=True)
class VideoReady:
    """The platform has the video. `asset_id` None: it is handed over inline."""

    asset_id: str | None
    duration: float | None
    reused: bool
    began_ms: int


@dataclass(frozen=True, slots=True)
class VideoFailed:
    """The video can't be had. `stage` and `code` as in a completion."""

    stage: str
    code: str
    message: str
    retryable: bool
    platform: PlatformErrorDetail | None = None


@dataclass(frozen=True, slots=True)
class SlotGranted:
    """The job has the slot that it waited for."""


@dataclass(frozen=True, slots=True)
class BudgetExceeded:
    """What the next attempt may cost is beyond a limit of spending. `message` says which."""

    message: str


@dataclass(frozen=True, slots=True)
class CallDelayed:
    """A call failed and will be repeated within the same attempt, by the work that reports this."""

    stage: str
    reason: str
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class BeginsToWait:
    """The work has waited for some seconds, and goes on waiting. `reason` is as in the contract."""

    reason: Literal["quota", "turn", "order", "batch", "paused"]


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The first event of a stream has come."""

    generation_id: str | None


@dataclass(frozen=True, slots=True)
class AnalysisEnded:
    """The whole text is there; of a stream, every fragment is delivered."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AnalysisFailed:
    """An attempt to stream, or a synchronous call, has failed. `published`: a fragment of it may be in the topic."""

    failure: Failure
    published: bool = False


@dataclass(frozen=True, slots=True)
class ResultTooLarge:
    """The text of a stream is larger than any completion can be; the stream was left."""

    message: str


@dataclass(frozen=True, slots=True)
class AttemptCut:
    """The attempt was cut off on our side (the lease was lost for a while)."""


@dataclass(frozen=True, slots=True)
class AttemptUnused:
    """The attempt was claimed, and nothing of it was sent: whoever claimed it has lost the partition before."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A takeover finds that another process goes on with the attempt. How it ends will be a fact of its own."""


@dataclass(frozen=True, slots=True)
class TaskMade:
    """The task exists and its id is known."""

    task_id: str
    status: str | None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class TaskNotMade:
    """The task can't be created. `looked_for`: the platform's list was read and it is not there."""

    failure: Failure
    looked_for: bool


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """A poll of the task. `outcome` when it is ready, `message` and `code` when it failed or was canceled."""

    status: str
    outcome: Outcome | None = None
    code: str | None = None
    message: str | None = None
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class TaskLost:
    """The platform does not know the task any more."""

    platform: PlatformErrorDetail | None


@dataclass(frozen=True, slots=True)
class TaskGivenUp:
    """The task is waited for no longer (`patience.task_given_up`). `running`: it may still run."""

    reason: str
    running: bool
    platform: PlatformErrorDetail | None = None


@dataclass(frozen=True, slots=True)
class WorkFailed:
    """The work of the job has failed by an error of this program. `message` says what to report."""

    message: str


@dataclass(frozen=True, slots=True)
class WriteRefused:
    """A change of the job can't be written: a record of it is larger than its topic takes."""

    message: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Somebody wants the job to end."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The request's own deadline is over."""


@dataclass(frozen=True, slots=True)
class TaskCanceled:
    """The task needs no more attention: canceled, ended, or given up; `note` says which."""

    note: str


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The wait before a repetition is over, or was cut short."""


Fact = (
    Begin | VideoReady | VideoFailed | SlotGranted | BudgetExceeded | CallDelayed | BeginsToWait | StreamOpened
    | AnalysisEnded
    | AnalysisFailed | ResultTooLarge | AttemptCut | AttemptUnused | HandedOver | TaskMade | TaskNotMade | TaskSeen
    | TaskLost | TaskGivenUp
    | WorkFailed | WriteRefused | CancelAsked | DeadlinePassed | TaskCanceled | RetryDue
)  # fmt: skip
