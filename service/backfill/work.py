"""What is asked of every object of the archive, and the request for one of them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from contracts.video import FileVideo, ObjectVideo
from service.backfill.listing.archive import video_of
from service.backfill.listing.selection import Found
from service.footage.errors import SourceNotAllowed
from service.footage.objects.identity import object_request_id, work_of
from service.footage.objects.location import ObjectLocation


@dataclass(frozen=True)
class Work:
    """The members of every request, without those that differ: `request_id`, `video` and `run`."""

    members: Mapping[str, Any]

    @cached_property
    def _work(self) -> bytes:
        return work_of(self.members)

    def name(self, archive: str) -> str:
        """The name of this backfill: the archive and the work. Filters, rate and priority make no other one of it."""
        return f"{archive} {hashlib.blake2b(self._work, digest_size=8).hexdigest()}"

    def request_id(self, found: Found) -> str:
        """The id of the request for an object: the same for the same content and the same work."""
        return object_request_id(found.uri, found.version, self._work)

    def value(self, found: Found, run: int) -> bytes:
        """The request for an object. Raises `SourceNotAllowed` when a request can't name it."""
        video = video_of(found.uri)
        try:
            if video["type"] == "object":
                ObjectLocation.of(found.uri)
                ObjectVideo.model_validate(video)
            else:
                FileVideo.model_validate(video)
        except ValueError:
            raise SourceNotAllowed("the name is too long or has characters that a request can't hold") from None
        request = {"type": "analyze", "request_id": self.request_id(found), "video": video, **self.members}
        if run > 1:
            request["run"] = run
        return orjson.dumps({name: value for name, value in request.items() if value is not None})
