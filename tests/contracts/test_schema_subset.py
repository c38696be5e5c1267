"""The platform's subset of JSON Schema."""

from typing import Any

import pytest

from contracts.schema_subset import first_violation

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
def test_what_the_platform_would_refuse_is_found_with_its_place(where: str, schema: dict[str, Any]) -> None:
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
