"""From a request's `video` to `Footage`."""

from __future__ import annotations

from dataclasses import replace

from contracts.video import AssetVideo, Base64Video, FileVideo, ObjectVideo, UrlVideo, Video
from service.footage.files import file_footage
from service.footage.footage import Footage, identity_of
from service.footage.inline import base64_footage
from service.footage.objects.source import object_footage
from service.footage.remote import asset_footage, url_footage
from service.settings import SourceSettings


async def resolve(video: Video, sources: SourceSettings) -> Footage:
    """Find out what `video` is. Looks at the size and version of files and objects; never reads a URL of a request.

    Raises a `SourceError`. A caller's `key` replaces the identity, nothing else.
    """
    match video:
        case UrlVideo():
            footage = url_footage(video.url)
        case AssetVideo():
            footage = asset_footage(video.asset_id)
        case Base64Video():
            footage = await base64_footage(video.base64_string)
        case FileVideo():
            footage = await file_footage(video.path, sources)
        case ObjectVideo():
            footage = await object_footage(video.uri, sources)
    return footage if video.key is None else replace(footage, identity=identity_of("key", video.key))
