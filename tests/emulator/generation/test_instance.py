"""Values that are valid by a schema."""

from __future__ import annotations

import json

from tests.emulator.conftest import Client


async def test_a_schema_is_filled_validly_with_the_first_required_property_in_front(client: Client, asset: str) -> None:
    import jsonschema

    schema = {
        "type": "object",
        "properties": {
            "note": {"type": "string"},
            "count": {"type": "integer", "minimum": 3, "exclusiveMaximum": 5},
            "plate": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,4}$"},
            "kind": {"enum": ["truck", "van"]},
            "id": {"type": "string", "format": "uuid"},
            "finds": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "start_time": {"type": "number"},
                        "end_time": {"type": "string"},
                        "who": {"$ref": "#/$defs/who"},
                    },
                    "required": ["start_time", "who"],
                },
            },
        },
        "$defs": {"who": {"anyOf": [{"type": "null"}, {"type": "boolean"}]}},
        "required": ["count", "plate", "finds"],
    }
    wanted = {"type": "json_schema", "json_schema": schema}
    for number in range(12):
        text = (await client.analyze(asset, prompt=f"try {number}", stream=False, response_format=wanted)).json["data"]
        found = json.loads(text)
        jsonschema.validate(found, schema)
        assert list(found) == ["count", "note", "plate", "kind", "id", "finds"]
