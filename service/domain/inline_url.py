"""A URL that the platform fetched by itself during the analysis: its file may not be there yet, or not be complete."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from service.domain.facts import PlatformErrorDetail
from service.domain.job import Job

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

HINT = "; if the file at the URL was not complete yet, send the request again when it is"

# The platform's codes for a file that can't be had, or of which only the beginning is there. The codes for a picture
# or file that is too large are not among them: such a file only grows.
_CODES = ("resource_not_exist", "video_file_broken", "video_duration_too_short")
# A failed task often has no code, and its text may hold the code's name. `parameter_invalid` names the field.
_ABOUT_URL = re.compile(rf"(?:^|[^\w.])(?:video(?:'s)?[._ ])?urls?\b|\b(?:{'|'.join(_CODES)})\b", re.IGNORECASE)
_MESSAGE_CHARS = 2_000


def may_come(job: Job, request: AnalyzeRequest, detail: PlatformErrorDetail | None) -> bool:
    """Whether the platform has refused the file behind an inline URL, which may be another one later.

    Always false for an asset: its upload has looked at the file.
    """
    if detail is None or job.asset_id is not None or request.video is None or request.video.type != "url":
        return False
    return detail.code in _CODES or _ABOUT_URL.search((detail.message or "")[:_MESSAGE_CHARS]) is not None
