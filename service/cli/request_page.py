"""The reference page of what a request may ask for, from the tables that check it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from contracts.limits import MAX_FILE_SECONDS, MAX_SYNCHRONOUS_SECONDS, MAX_WINDOW_SECONDS
from contracts.platform_limits import (
    DIRECT_UPLOAD_BYTES,
    IMAGE_BYTES,
    IMAGE_INPUT_BYTES,
    IMAGE_INPUT_PIXELS,
    INLINE_VIDEO_BYTES,
    URL_UPLOAD_BYTES,
)
from contracts.request_rules import RULES
from contracts.rule_table import RANGES, Rule
from contracts.schema_facts import MIN_ITEMS, STRING_FORMATS, TIME_FORMATS, TYPES, UNPROCESSABLE, UNSUPPORTED
from contracts.schemas import all_schemas

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]

_INTRODUCTION = (
    "Everything on this page but the last section is checked before anything is paid for. A request that breaks it "
    "goes to the dead letters with the code `invalid` and a message `member: what to do`. A null is an absent member, "
    "and members that are not here are ignored.\n"
)
_LONGEST_EXAMPLE = 160
_RUNS = (
    "A record begins a job when its `request_id` is new, or has ended with a lower `run`. Any other record begins "
    "nothing and is told as `duplicate` on the progress topic, with the `run` of that record:\n\n"
    "- *The same run, or a lower one, of an id that has ended:* the completion is published again.\n"
    "- *Any run of an id that is under way,* also a higher one. Run 3 that comes while run 2 is under way is not kept "
    "for later: wait for the completion of run 2, then send run 3 again. `reelwire rerun` does so by itself: it "
    "begins only what has ended.\n\n"
    "`same_body` says whether the record asked for the same as the one that is known. If it is false, the completion "
    "of this id is the answer to another question.\n"
)


def requests_page(note: str, table: Table) -> str:
    """The page. `note` says that it is generated; `table` writes a table."""
    return "".join(
        (
            f"# What a request may ask for\n\n{note}\n{_INTRODUCTION}",
            f"\n## Members\n\n{table(('member', 'type', 'default', 'meaning'), _members())}",
            "\n## Ranges\n\nBoth bounds are allowed. `[0]` stands for any item.\n\n",
            table(("member", "from", "to", "of"), _ranges()),
            "\n## Rules\n\nThose marked *ours* are this service's; all others are the platform's.\n\n",
            table(("names", "what to do", "", "an example that is refused"), _rules()),
            f"\n## Repeats and runs\n\n{_RUNS}",
            f"\n## JSON schemas\n\n{_json_schemas()}",
            f"\n## Limits of videos and images\n\n{_limits(table)}",
        )
    )


def _members() -> Iterable[Sequence[str]]:
    schema = all_schemas()["analyze"]
    for name, member in schema["properties"].items():
        needed = name in schema["required"]
        default = "required" if needed else f"`{json.dumps(member['default'])}`" if "default" in member else "-"
        yield f"`{name}`", _kind(member), default, " ".join(member.get("description", "").split())


def _kind(member: dict[str, Any]) -> str:
    kinds: dict[str, None] = {}
    for option in member.get("anyOf", [member]):
        if option == {"type": "null"}:
            continue
        if "enum" in option:
            kinds[", ".join(f"`{value}`" for value in option["enum"])] = None
        elif "const" in option:
            kinds[f"`{option['const']}`"] = None
        else:
            kinds[str(option.get("type", "object"))] = None
    return ", ".join(kinds)


def _ranges() -> Iterable[Sequence[str]]:
    for span in RANGES:
        least, most = ("-" if bound is None else f"{bound:,}" for bound in (span.least, span.most))
        yield f"`{span.member}`", least, most, span.unit or "-"


def _rules() -> Iterable[Sequence[str]]:
    for rule in RULES:
        yield f"`{rule.path}`", rule.words, "ours" if rule.ours else "", _example(rule)


def _example(rule: Rule[Any]) -> str:
    if not rule.example:
        return "-"
    text = json.dumps(rule.example, separators=(", ", ": "))
    return f"`{text}`" if len(text) <= _LONGEST_EXAMPLE else "-"


def _json_schemas() -> str:
    def listed(words: Iterable[object]) -> str:
        return ", ".join(f"`{word}`" for word in words)

    return (
        f"`response_format.json_schema` is a part of JSON Schema draft 2020-12, with the types {listed(TYPES)}.\n\n"
        f"- A `timestamp` is a time of the video and needs `format`, one of {listed(TIME_FORMATS)}. It stands at the "
        "top level or in objects directly inside a top-level array, and becomes an entry of `timeline`.\n"
        "- Properties named `start_time` and `end_time` are times of the video at any depth: a number, an integer, a "
        "string or a timestamp.\n"
        f"- `format` of a string is one of {listed(STRING_FORMATS)}; "
        f"`minItems` is {' or '.join(map(str, MIN_ITEMS))}.\n"
        "- `enum` and `const` hold booleans, null, numbers and strings. `$ref` points into the schema.\n"
        f"- Not taken: {listed((*UNPROCESSABLE, *UNSUPPORTED))}.\n"
        "- The answer comes as text; what can be decoded of it is `data`, else `data_error` says why not. `text` "
        "always holds what was generated.\n"
    )


def _limits(table: Table) -> str:
    def hours(seconds: int) -> str:
        return f"{seconds / 3600:g} h"

    def megabytes(size: int) -> str:
        return f"{size // 1_000_000:,} MB"

    window = hours(MAX_WINDOW_SECONDS)
    long = f"{window}, or {hours(MAX_FILE_SECONDS)} with a window of at most {window}"
    rows = (
        ("length of a video in mode stream or sync", hours(MAX_SYNCHRONOUS_SECONDS)),
        ("length of a video in mode async", long),
        ("video by `upload: inline` as base64", megabytes(INLINE_VIDEO_BYTES)),
        ("video by URL", megabytes(URL_UPLOAD_BYTES)),
        ("video that is sent as one piece", megabytes(DIRECT_UPLOAD_BYTES)),
        ("image of `image`", f"{megabytes(IMAGE_INPUT_BYTES)}, {IMAGE_INPUT_PIXELS:,} pixels"),
        ("reference image", megabytes(IMAGE_BYTES)),
    )
    return (
        "What is only known when the file is looked at ends a request as `failed`: a video that is too long for its "
        "mode as `mode_not_possible`, a window or a time range outside of it as `rejected`.\n\n"
        f"{table(('what', 'at most'), rows)}"
        '\n`pegasus1.6` alone takes images as input, fields of type `time_array` and `max_tokens: "unlimited"`; '
        "everything else is the same with both models.\n"
    )
