"""Limits of the platform that both the service and the emulator need."""

from __future__ import annotations

DIRECT_UPLOAD_BYTES = 200_000_000
"""The largest video that `POST /assets` takes with `method=direct`.

The platform's documents say 200 MB and not whether MB is 10^6 or 2^20 bytes. The smaller reading is safe on both
sides: what the service sends is accepted either way.
"""

BATCH_ITEMS = 1_000
"""The most analyses in one batch."""

URL_UPLOAD_BYTES = 4_000_000_000
"""The largest video that the platform fetches from a URL, as an asset or for one analysis (4 GB)."""

MULTIPART_UPLOAD_BYTES = 10_000_000_000
"""The largest video that an upload session takes (10 GB)."""

IMAGE_BYTES = 32_000_000
"""The largest image as an asset (32 MB)."""

IMAGE_INPUT_BYTES = 20_000_000
"""The largest image of an analysis of images (20 MB)."""

IMAGE_INPUT_PIXELS = 16_777_216
"""Width times height of such an image."""

MAX_IMAGES = 20
"""Images of one analysis."""

MAX_REFERENCES = 4
"""Reference images of a prompt, and of each segment definition."""

INLINE_VIDEO_BYTES = 30_000_000
"""The largest video that an analysis carries as base64 (30 MB), counted after decoding."""


def base64_characters(size_bytes: int) -> int:
    """The longest base64 text of `size_bytes` bytes, padding included."""
    return (size_bytes + 2) // 3 * 4
