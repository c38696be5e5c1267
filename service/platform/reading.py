"""Members of the platform's answers, taken out with tolerance: what is missing or odd becomes None."""

from __future__ import annotations

from typing import Any

from service.platform.answers import said
from service.platform.values import Analysis


def text(value: object) -> str | None:
    """A string, or None."""
    return value if isinstance(value, str) else None


def number(value: object) -> float | None:
    """A number, or None."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: object) -> int | None:
    """A whole number, or None."""
    found = number(value)
    return None if found is None else int(found)


def error_of(body: dict[str, Any]) -> tuple[str | None, str | None]:
    """Code and message of the `error` member. Its presence alone does not mean failure: the status decides."""
    return said({"error": body["error"]}) if body.get("error") else (None, None)


def usage_of(body: dict[str, Any]) -> tuple[int | None, int | None]:
    """Output and input tokens."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return whole(usage.get("output_tokens")), whole(usage.get("input_tokens"))


def analysis_of(body: dict[str, Any], *, warning: tuple[str | None, str | None]) -> Analysis | None:
    """The analysis in an answer to `/analyze` or in a task's `result`; None when it holds no text."""
    data = body.get("data")
    if not isinstance(data, str):
        return None
    output_tokens, input_tokens = usage_of(body)
    return Analysis(
        text=data,
        finish_reason=text(body.get("finish_reason")),
        generation_id=text(body.get("generation_id")) or text(body.get("id")),
        output_tokens=output_tokens,
        input_tokens=input_tokens,
        warning_code=warning[0],
        warning_message=warning[1],
    )
