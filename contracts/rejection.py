"""Why a record is refused, in words its sender can act on: the member, and what it must be.

The words are ours, never the validation library's, and no value of the record is repeated.
"""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from contracts.codes import DeadLetterCode
from contracts.patterns import PATTERNS

MAX_MESSAGE_CHARS = 500
_SHOWN = 3
_TAGGED = frozenset({"video", "response_format"})
_WORDS = {
    "missing": "is required",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a JSON object",
    "tuple_type": "must be an array",
    "list_type": "must be an array",
    "json_invalid": "is not JSON",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "union_tag_not_found": "needs a member `type`",
    "finite_number": "must be a finite number",
    "int_from_float": "must be an integer",
    "int_parsing": "must be an integer",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "path_type": "must be a path",
    "none_required": "must be left out",
}
_OTHERWISE = "is not valid; the schemas and the reference pages say what is"


class RejectedRecord(Exception):
    """A record of the requests topic is no request: it goes to the dead letters.

    `request_id` is what could be made out of it, for logs; None when there is no usable one.
    """

    def __init__(self, code: DeadLetterCode, message: str, request_id: str | None = None) -> None:
        self.code = code
        self.message = message if len(message) <= MAX_MESSAGE_CHARS else message[: MAX_MESSAGE_CHARS - 1] + "…"
        self.request_id = request_id
        super().__init__(f"{code}: {self.message}")


def rule(text: str) -> PydanticCustomError:
    """What a validator raises: `text` says what is wrong and what to do; it may begin with `member: `."""
    return PydanticCustomError("rule", "{text}", {"text": text})


def explain(error: ValidationError) -> str:
    """The first few violations as `member.path: what to do`, without repeating any value."""
    seen: dict[str, None] = {}
    items = error.errors(include_url=False, include_input=False)
    for item in items:
        if item["type"] == "too_short" and any(_is_below(other["loc"], item["loc"]) for other in items):
            continue  # reading the array ended at its wrong item, so it looks shorter than it is
        seen[_line(item)] = None
    lines = list(seen)
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more


def _is_below(location: tuple[int | str, ...], above: tuple[int | str, ...]) -> bool:
    return len(location) > len(above) and location[: len(above)] == above


def _line(item: ErrorDetails) -> str:
    path = member_path(item["loc"])
    text = violation_words(item)
    if path == "max_tokens" and item["type"] in ("int_type", "literal_error"):
        text = "must be an integer or 'unlimited'"
    if not path:
        return text
    # A rule of a whole object names the member below it itself.
    below = item["type"] == "rule" and text.partition(": ")[0].isidentifier() and ": " in text
    return f"{path}.{text}" if below else f"{path}: {text}"


def member_path(location: tuple[int | str, ...]) -> str:
    """`video.url` or `image[2].name` out of pydantic's location, without its union tags."""
    path = ""
    parts = list(location)
    if len(parts) > 1 and parts[0] in _TAGGED:
        del parts[1]
    if parts and parts[0] == "max_tokens":
        del parts[1:]
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def violation_words(item: ErrorDetails) -> str:
    """What is wrong with one value, as the end of the sentence `<name>: …`; never the validation library's words.

    Settings use it as well, whose values are read from text.
    """
    context = item.get("ctx", {})
    match item["type"]:
        case "rule":
            return str(context["text"])
        case kind if kind in _WORDS:
            return _WORDS[kind]
        case "literal_error":
            return f"must be {context['expected']}"
        case "union_tag_invalid":
            return f"its `type` must be one of {context['expected_tags']}"
        case "string_too_short":
            return (
                "must not be empty"
                if context["min_length"] == 1
                else f"must have at least {context['min_length']} characters"
            )
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "too_short" | "too_long":
            bound = context.get("min_length", context.get("max_length"))
            items = "item" if bound == 1 else "items"
            return f"must have at {'least' if item['type'] == 'too_short' else 'most'} {bound} {items}"
        case "string_pattern_mismatch":
            known = PATTERNS.get(str(context["pattern"]))
            return f"must match {context['pattern']}" if known is None else f"must be {known.words}"
        case "greater_than":
            return f"must be greater than {context['gt']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case _:
            return _OTHERWISE
