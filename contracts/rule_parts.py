"""Parts of the schemas and of the examples of the rules of a request."""

from __future__ import annotations

from typing import Any

SEGMENTING = "time_based_metadata"
NEWER = "pegasus1.6"

Schema = dict[str, Any]


def has(**members: Schema) -> Schema:
    """A request that has these members, each as its schema says."""
    return {"properties": members, "required": list(members)}


def when(condition: Schema, then: Schema) -> Schema:
    """A request that is as `then` says if it is as `condition` says."""
    return {"if": condition, "then": then}


def absent(*members: str) -> Schema:
    """A request without these members."""
    return {"properties": {name: {"type": "null"} for name in members}}


TEXT: Schema = {"type": "string"}
OBJECT: Schema = {"type": "object"}
LIST: Schema = {"type": "array"}
NUMBER: Schema = {"type": "number"}
SEGMENTED: Schema = has(analysis_mode={"const": SEGMENTING})
ASYNC: Schema = {"properties": {"mode": {"enum": ["async", "auto", None]}}}
SEGMENT_FORM: Schema = {"type": "object", **has(type={"const": "segment_definitions"})}
ON_NEWER: Schema = has(model_name={"const": NEWER})


def holding(definition: Schema) -> Schema:
    """A request with a segment definition like this."""
    return has(response_format=has(segment_definitions={"type": "array", "contains": definition}))


RANGED: Schema = holding(has(time_ranges=LIST))
WITH_TIME_ARRAY: Schema = holding(has(fields={"type": "array", "contains": has(type={"const": "time_array"})}))


# Examples

IMAGE = {"name": "a", "url": "https://media.example.com/a.png"}
VIDEO = {"type": "url", "url": "https://media.example.com/a.mp4"}
PROMPT_V2 = {"input_text": "What happens?"}
DEFINITION = {"id": "a", "description": "Something moves"}
FORMAT: dict[str, Any] = {"type": "segment_definitions", "segment_definitions": [DEFINITION]}
RANGED_FORMAT = FORMAT | {
    "segment_definitions": [DEFINITION | {"time_ranges": [{"start_time": 0, "end_time": 9}]}],
}
TIME_ARRAY = {
    "name": "b",
    "type": "time_array",
    "description": "Each",
    "items": {"type": "object", "fields": [{"name": "c", "type": "string", "description": "How"}]},
}
