"""Limits of the platform that both the service and the emulator need."""

from __future__ import annotations

DIRECT_UPLOAD_BYTES = 200_000_000
"""The largest video that `POST /assets` takes with `method=direct`.

The platform's documents say 200 MB and not whether MB is 10^6 or 2^20 bytes. The smaller reading is safe on both
sides: what the service sends is accepted either way.
"""
