"""How large a record and its parts may be, and the numeric ranges of a request.

The limits on size bound what one record costs: at most 50 ms and 20 MB for a record of 1 MiB, whatever is in it.
"""

from __future__ import annotations

from contracts.platform_limits import INLINE_VIDEO_BYTES, base64_characters

# A record of the requests topic. The limit on its value is a setting (`REELWIRE_JOBS__MAX_REQUEST_BYTES`).
MAX_KEY_BYTES = 4096
"""The key is copied to every record that is published for the request."""
MAX_HEADERS = 256
MAX_READ_HEADERS = 16_384
"""A record with more is not decoded: its dead letter holds the bytes of the record as they are in the log."""
MAX_HEADER_BYTES = 64 * 1024
"""Names and values of all headers together."""

# One JSON document.
MAX_JSON_VALUES = 20_000
"""Objects, arrays, strings, numbers, booleans and nulls together; the names of members are not counted."""
MAX_JSON_DEPTH = 201
"""Of objects and arrays in each other; the parser's own limit."""
MAX_JSON_DIGITS = 300
"""Digits of a number in a row. A double ends at 309; longer integers cost quadratic time."""

# Members of a request.
MAX_METADATA_BYTES = 16 * 1024
MAX_RESPONSE_FORMAT_BYTES = 256 * 1024
"""As compact JSON. It is kept with the job for as long as the job lives."""
MAX_SCHEMAS = 2_000
"""Schemas inside `response_format.json_schema`, itself included: properties, items, choices, definitions."""
MAX_INSTANT_CHARS = 64
"""Of `deadline` and `recorded_at`."""
MAX_RUN = 2**53 - 1
"""The largest integer that every JSON reader keeps."""
MAX_INLINE_BASE64_CHARS = base64_characters(INLINE_VIDEO_BYTES)
"""30 MB, the platform's limit for a video inside a request, as base64."""
MIN_WINDOW_SECONDS = 1
MAX_WINDOW_SECONDS = 2 * 3600
MAX_SYNCHRONOUS_SECONDS = 3600
MAX_FILE_SECONDS = 4 * 3600
"""Of a video with a window."""
MIN_TOKENS = 512
MIN_SEGMENT_TOKENS = 2048
MAX_TOKENS = 98_304
