"""Patterns of text members, each with the words that tell a person what is allowed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression of the generated schemas, and the end of the sentence `<member>: must be …`."""

    regex: str
    words: str


REQUEST_ID = Pattern(
    r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$",
    "1 to 128 letters (A-Z, a-z), digits, dots, underscores, colons and hyphens, a letter or digit first",
)
TENANT = Pattern(
    r"^[A-Za-z0-9._:-]{1,64}$", "1 to 64 letters (A-Z, a-z), digits, dots, underscores, colons and hyphens"
)
ASSET_ID = Pattern(
    # Asset ids are opaque, but go into paths unescaped: only what needs no escaping.
    r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$",
    "the platform's id of an asset: letters, digits, dots, underscores, tildes and hyphens",
)
IMAGE_NAME = Pattern(r"^[A-Za-z0-9_]+$", "letters (A-Z, a-z), digits and underscores")
REFERENCE_NAME = Pattern(r"^[A-Za-z0-9_-]+$", "letters (A-Z, a-z), digits, underscores and hyphens")
HTTP_URL = Pattern(
    r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x1f\x7f/?#]+[^\s\x00-\x1f\x7f]*$",
    "an absolute http:// or https:// URL without spaces",
)
HTTPS_URL = Pattern(
    r"^[Hh][Tt][Tt][Pp][Ss]://[^\s\x00-\x1f\x7f/?#]+[^\s\x00-\x1f\x7f]*$",
    "an absolute https:// URL without spaces",
)
OBJECT_URI = Pattern(r"^(s3|gs|az)://[^/\s]+/.+$", "s3://, gs:// or az:// with a bucket and a name")

PATTERNS = {
    pattern.regex: pattern
    for pattern in (REQUEST_ID, TENANT, ASSET_ID, IMAGE_NAME, REFERENCE_NAME, HTTP_URL, HTTPS_URL, OBJECT_URI)
}
"""By their expression, as an error of validation names it."""
