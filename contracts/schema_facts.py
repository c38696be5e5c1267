"""What the platform's API reference (section 3.4) says of `response_format.json_schema`, as one table.

The schema is a part of JSON Schema draft 2020-12 with the additional type `timestamp`.
"""

from __future__ import annotations

from enum import IntEnum, auto

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string", "timestamp")
STRING_FORMATS = ("uuid", "date-time", "date", "time")
TIME_FORMATS = ("seconds", "hh:mm:ss", "hh:mm:ss.fff")
"""Of a `timestamp`, which must name one."""
MIN_ITEMS = (0, 1)
"""The only values of `minItems`."""

UNPROCESSABLE = ("minLength", "maxLength", "additionalProperties", "uniqueItems", "maxItems")
"""Keywords that the platform answers with status 422. Whatever else is wrong is a 400."""
UNSUPPORTED = ("oneOf", "allOf", "not")
"""Of the keywords that combine schemas, the platform takes `anyOf` only."""

CLOCK_NAMES = frozenset({"start_time", "end_time"})
"""Properties of these names are times of the video, at any depth."""
CLOCK_TYPES = frozenset({"number", "integer", "string", "timestamp"})
"""The types that such a property may be declared with."""


class Level(IntEnum):
    """How deep a schema is nested, as far as `timestamp` is concerned. An integer, because those are hashed quickly."""

    ROOT = auto()
    PROPERTY = auto()
    """A property of the root."""
    ITEM = auto()
    """What a top-level array holds: the root's own array, or the array of a property of the root."""
    ITEM_PROPERTY = auto()
    DEEP = auto()
    UNREFERENCED = auto()
    """A shared definition, looked at by itself: where it is used decides."""


PROPERTY_OF = {
    Level.ROOT: Level.PROPERTY,
    Level.ITEM: Level.ITEM_PROPERTY,
    Level.UNREFERENCED: Level.UNREFERENCED,
}
"""The level of a property, by the level of its object. All others are deep."""
ITEM_OF = {Level.ROOT: Level.ITEM, Level.PROPERTY: Level.ITEM, Level.UNREFERENCED: Level.UNREFERENCED}
"""The level of the items, by the level of their array. All others are deep."""
TIMESTAMP_LEVELS = frozenset({Level.ROOT, Level.PROPERTY, Level.ITEM_PROPERTY, Level.UNREFERENCED})
"""At the top level, or in objects directly inside a top-level array; elsewhere the platform answers 400."""
