"""The platform's subset of JSON Schema."""

import sys
from types import FrameType
from typing import Any

import pytest

from contracts.limits import MAX_SCHEMAS
from contracts.schema_subset import Violation, first_violation

pytestmark = pytest.mark.unit

STAMP = {"type": "timestamp", "format": "hh:mm:ss"}
TEXT = {"type": "string"}


def thing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def rows(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        thing(
            title=TEXT | {"pattern": "^a", "description": "d", "title": "t"}, people={"type": "integer", "minimum": 0}
        ),
        thing(seen=STAMP, events=rows(thing(at=STAMP, start_time={"type": "number"}))),
        rows(thing(at=STAMP)),
        {
            "type": "object",
            "properties": {"a": rows({"$ref": "#/$defs/b"})},
            "$defs": {"b": thing(c=STAMP)},
            "required": ["a"],
        },
        thing(
            a={"anyOf": [TEXT | {"format": "uuid"}, {"type": "null"}]}, b={"enum": ["x", 1, None, True]}, c={"const": 1}
        ),
        thing(a={"type": ["string", "null"]}, b=rows(TEXT) | {"minItems": 1}),
        thing(end_time=TEXT),
        thing(minLength=TEXT, additionalProperties=TEXT),
        STAMP,
        thing(a={"$ref": "#/$defs/b"}) | {"$defs": {"b": STAMP}},
        thing(a={"$ref": "#"}),
    ],
)
def test_a_schema_within_the_subset_is_taken(schema: dict[str, Any]) -> None:
    assert first_violation(schema) is None


@pytest.mark.parametrize(
    ("where", "schema"),
    [
        ("$", {"additionalProperties": False}),
        ("$.a", thing(a=TEXT | {"maxLength": 5})),
        ("$.a[]", thing(a=rows(TEXT | {"minLength": 5}))),
        ("$", {"oneOf": [TEXT]}),
        ("$.a.anyOf[1]", thing(a={"anyOf": [TEXT, rows(TEXT) | {"uniqueItems": True}]})),
        ("$.$defs.b", {"$defs": {"b": rows(TEXT) | {"maxItems": 3}}}),
        ("$.a", thing(a={"type": "decimal"})),
        ("$.a", thing(a={"type": 5})),
        ("$.a", thing(a=True)),
        ("$.a", thing(a=TEXT | {"format": "email"})),
        ("$.a", thing(a={"type": "timestamp"})),
        ("$.a", thing(a={"type": "timestamp", "format": "date-time"})),
        ("$.a.b", thing(a=thing(b=STAMP))),
        ("$.a[].b.c", thing(a=rows(thing(b=thing(c=STAMP))))),
        ("$.a[]", thing(a=rows(STAMP))),
        ("$.a[].start_time", thing(a=rows(thing(start_time={"type": "boolean"})))),
        ("$.end_time", thing(end_time={"anyOf": [TEXT]})),
        ("$.a", thing(a=rows(TEXT) | {"minItems": 2})),
        ("$.a", thing(a=rows(TEXT) | {"minItems": True})),
        ("$.a", thing(a={"enum": []})),
        ("$.a", thing(a={"enum": [[1]]})),
        ("$.a", thing(a={"const": {}})),
        ("$", {"required": "a"}),
        ("$.a", thing(a={"$ref": "https://example.com/schema"})),
        ("$.a", thing(a={"$ref": "#/$defs/gone"})),
        ("$", {"properties": []}),
        ("$", {"anyOf": {}}),
        ("$.a.$ref.c", thing(a={"$ref": "#/$defs/b"}) | {"$defs": {"b": thing(c=STAMP)}}),
        ("$.a.b.$ref", thing(a=thing(b={"$ref": "#/$defs/c"})) | {"$defs": {"c": STAMP}}),
        ("$.a", thing(a={"type": "integer", "minimum": "low"})),
        ("$", {"allOf": [TEXT]}),
        ("$", {"not": TEXT}),
    ],
)
def test_what_the_platform_would_refuse_is_found_with_its_path(where: str, schema: dict[str, Any]) -> None:
    violation = first_violation(schema)

    assert violation is not None
    assert violation.path == where or violation.path.startswith(f"{where}.")
    assert str(violation).startswith(f"at {where}")


@pytest.mark.parametrize("keyword", ["minLength", "maxLength", "additionalProperties", "uniqueItems", "maxItems"])
def test_the_platform_answers_422_for_the_keywords_that_its_reference_names(keyword: str) -> None:
    violation = first_violation(thing(a={keyword: 1}))

    assert violation is not None
    assert (violation.path, violation.status) == ("$.a", 422)


def test_a_schema_of_any_depth_is_checked_without_recursion() -> None:
    deep: dict[str, Any] = TEXT
    for _ in range(5_000):
        deep = {"anyOf": [deep]}

    assert first_violation(deep) is None


WIDE: dict[str, Any] = {
    "properties": {"properties": {f"n{number}": {} for number in range(MAX_SCHEMAS - 1)}},
    "anyOf": {"anyOf": [{} for _ in range(MAX_SCHEMAS - 1)]},
    "$defs": {"$defs": {f"n{number}": {} for number in range(MAX_SCHEMAS - 1)}},
}


@pytest.mark.parametrize("keyword", WIDE)
def test_schemas_are_counted_to_the_limit_and_no_further(keyword: str) -> None:
    schema = WIDE[keyword]
    assert first_violation(schema, most=MAX_SCHEMAS) is None
    assert first_violation(schema | {"items": {}}) is None
    assert first_violation(schema | {"items": {}}, most=MAX_SCHEMAS) == Violation(
        "$", f"holds more than {MAX_SCHEMAS} schemas inside each other; send a smaller one"
    )


def test_a_definition_counts_once_however_often_it_is_used() -> None:
    schema = {"$defs": {"a": {}}, "anyOf": [{"$ref": "#/$defs/a"} for _ in range(10)]}
    assert first_violation(schema, most=13) is None
    assert first_violation(schema, most=12) is not None


def _python_calls(schema: dict[str, Any]) -> int:
    count = 0

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        first_violation(schema)
    finally:
        sys.setprofile(None)
    return count


def test_a_schema_costs_a_call_for_each_keyword_that_it_has() -> None:
    empty: dict[str, Any] = {"anyOf": [{} for _ in range(1_000)]}
    typed = {"anyOf": [{"enum": ["a"]} for _ in range(1_000)]}
    assert _python_calls(empty) < 20
    assert _python_calls(typed) < 5_020
