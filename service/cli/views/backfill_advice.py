"""What a backfill tells about failures and about what it left out: for each what to do."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.codes import DeadLetterCode, ErrorCode
from service.backfill.listing.left_out import LeftOut, Reason

MAY_SUCCEED: frozenset[str] = frozenset(
    {
        ErrorCode.BUDGET_EXCEEDED,
        ErrorCode.UPLOAD_FAILED,
        ErrorCode.TASK_FAILED,
        ErrorCode.STREAM_FAILED,
        ErrorCode.INTERRUPTED,
        ErrorCode.PLATFORM_UNAVAILABLE,
        ErrorCode.INTERNAL_ERROR,
    }
)
"""Codes of requests that may succeed when they are sent again as they are. The others need a change first."""

ADVICE: Mapping[str, str] = {
    ErrorCode.SOURCE_NOT_ALLOWED: "the service may not read them; its operator allows the place with "
    "REELWIRE_SOURCES__FILE_ROOTS or REELWIRE_SOURCES__OBJECT_PREFIXES and restarts the service",
    ErrorCode.SOURCE_NOT_FOUND: "they are not where the service looks; put them there, or give the service's machine "
    "the same folder",
    ErrorCode.SOURCE_UNREADABLE: "give the service's user the right to read them, and wait until they are complete",
    ErrorCode.MODE_NOT_POSSIBLE: "use --mode auto or async",
    ErrorCode.DEADLINE_EXCEEDED: "give a later deadline",
    ErrorCode.BUDGET_EXCEEDED: "wait for the next UTC day, or let the operator raise REELWIRE_COST__DAILY_LIMIT or "
    "REELWIRE_COST__DAILY_LIMIT_PER_TENANT",
    ErrorCode.ASSET_FAILED: "the platform can't use these videos; play them, and replace those that are damaged",
    ErrorCode.UPLOAD_FAILED: "they did not arrive at the platform",
    ErrorCode.REJECTED: "the platform refuses these requests; read `platform.message` in the failed events, and change "
    "the options",
    ErrorCode.TASK_FAILED: "read `platform.message` in the failed events",
    ErrorCode.STREAM_FAILED: "look at the network to the platform, or use --mode async",
    ErrorCode.INTERRUPTED: "the stream was cut off",
    ErrorCode.OUTCOME_UNKNOWN: "they may have been billed; look for them in the platform's list of tasks first",
    ErrorCode.PLATFORM_UNAVAILABLE: "run `reelwire doctor`, and wait until the platform is well",
    ErrorCode.RESULT_TOO_LARGE: "raise max.message.bytes of the completions topic and restart the service, or ask for "
    "less",
    ErrorCode.INTERNAL_ERROR: "report it with the message and the service's version",
    DeadLetterCode.NOT_UTF8: "look at the record with `reelwire dlq show`",
    DeadLetterCode.NOT_JSON: "look at the record with `reelwire dlq show`",
    DeadLetterCode.INVALID: "the service takes no such request; `reelwire dlq list` says which member is wrong",
    DeadLetterCode.UNKNOWN_TYPE: "look at the record with `reelwire dlq show`",
    DeadLetterCode.TOO_LARGE: "let the operator raise REELWIRE_JOBS__MAX_REQUEST_BYTES, or ask with less",
    "not_sent": "no request can hold their names (too long, or with control characters); rename them",
}
"""What to do first, by code, in short; docs/reference/error-codes.md says more. A code of a newer service is none of
these."""

_NAMED: Mapping[Reason, str] = {
    "ending": "without a video's ending (--glob chooses by other names)",
    "glob": "by --glob",
    "exclude": "by --exclude",
    "empty": "empty",
    "size": "by --min-size or --max-size",
    "time": "by --since or --until",
    "hidden": "hidden",
    "name": "with a name that no request can hold",
}


def failure_words(failures: Mapping[str, int], most: int) -> list[str]:
    """Lines about the `most` most frequent codes, and one that says whether sending again helps."""
    lines = []
    for code, count in list(failures.items())[:most]:
        lines.append(f"failed: {count:,} with {code}: {ADVICE.get(code, 'the failed events say why')}")
    if len(failures) > most:
        lines.append(f"failed: {len(failures) - most:,} other codes; --report lists every object with its code")
    again = sum(count for code, count in failures.items() if code in MAY_SUCCEED)
    rest = sum(failures.values()) - again
    if again and rest:
        lines.append(
            f"{again:,} may succeed as they are: the same command with --retry-failed sends them again, and the "
            f"{rest:,} others with them, which need a change first"
        )
    elif again:
        lines.append("send them again with the same command and --retry-failed")
    elif rest:
        lines.append("to send them again as they are does not help; after a change: same command, --retry-failed")
    return lines


def left_out_words(left_out: LeftOut, wanted: int, archive: str) -> list[str]:
    """Lines about what a whole listing has left out; none when it took everything."""
    lines = []
    reasons = ", ".join(
        f"{left_out.by_reason[reason]:,} {words}" for reason, words in _NAMED.items() if reason in left_out.by_reason
    )
    if not left_out.seen:
        lines.append(f"nothing is below {archive}; check the name")
    elif not wanted:
        lines.append(f"{left_out.seen:,} files or objects seen in {archive}, none fits; left out: {reasons}")
    elif reasons:
        lines.append(f"{left_out.seen:,} files or objects seen; left out: {reasons}")
    if left_out.first_name is not None:
        lines.append(
            f"warning: no request can hold {left_out.by_reason['name']:,} of the names (not UTF-8, or control "
            f"characters in the name of an object); rename them; the first is {left_out.first_name}"
        )
    return lines
