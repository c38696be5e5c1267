"""The multipart form that creates an asset, read as a stream: fields first, the file straight to disk."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from aiohttp import BodyPartReader, MultipartReader, web

from service.emulator.model.assets import cleaned
from service.emulator.model.spool import Spooled
from service.emulator.model.viewer import Viewer
from service.emulator.refusals import Refusal, invalid, missing

_CHUNK_BYTES = 256 * 1024
_FIELD_BYTES = 64 * 1024
_KNOWN = frozenset({"method", "url", "filename", "enable_hls", "enable_thumbnail", "user_metadata", "file"})
_MAX_SAFE = 2**53 - 1


@dataclass(slots=True)
class AssetForm:
    """A valid form. `spooled` is there for `direct`, `url` for `url`."""

    method: str
    url: str | None
    filename: str
    file_type: str
    hls: bool
    thumbnail: bool
    metadata: dict[str, Any] = field(default_factory=dict)
    spooled: Spooled | None = None


async def read_asset_form(request: web.Request, viewer: Viewer, limit_bytes: int, *, strict: bool) -> AssetForm:
    """Read the form to its end; raises `Refusal`, and then leaves no file behind."""
    if not request.content_type.startswith("multipart/form-data"):
        raise Refusal(400, "content_type_invalid", "The content type must be multipart/form-data.")
    fields: dict[str, str] = {}
    spooled: Spooled | None = None
    part_name, part_type = "", ""
    try:
        try:
            reader = await request.multipart()
            while (part := await reader.next()) is not None:
                if isinstance(part, MultipartReader):
                    raise invalid("The form must not be nested.")
                name = part.name or ""
                if name == "file" and spooled is None and (part.filename or fields.get("method") == "direct"):
                    part_name = part.filename or "upload"
                    part_type = part.headers.get("Content-Type", "")
                    spooled = await _spool(part, viewer, limit_bytes)
                else:
                    fields[name] = await _text(part, name)
        except ValueError as error:
            raise invalid(f"The form can't be read ({error}).") from None
        form = _checked(fields, spooled, part_name, part_type, strict=strict)
    except BaseException:
        if spooled is not None:
            spooled.path.unlink(missing_ok=True)
        raise
    return form


async def _spool(part: BodyPartReader, viewer: Viewer, limit_bytes: int) -> Spooled:
    async with viewer.spool(limit_bytes) as spool:
        while chunk := await part.read_chunk(_CHUNK_BYTES):
            await spool.write(chunk)
        return await spool.finish()


async def _text(part: BodyPartReader, name: str) -> str:
    data = bytearray()
    while chunk := await part.read_chunk(_FIELD_BYTES):
        data += chunk
        if len(data) > _FIELD_BYTES:
            raise invalid(f"The {name} parameter is too long.")
    return data.decode("utf-8", "replace")


def _checked(
    fields: dict[str, str], spooled: Spooled | None, part_name: str, part_type: str, *, strict: bool
) -> AssetForm:
    unknown = sorted(fields.keys() - _KNOWN)
    if strict and unknown:
        raise Refusal(400, "parameter_unknown", f"Unknown parameters: {', '.join(unknown)}.")
    method = fields.get("method") or ""
    if not method:
        raise missing("method")
    if method not in {"direct", "url"}:
        raise invalid("The method parameter must be direct or url.")
    url = fields.get("url") or None
    if method == "url":
        if url is None:
            raise missing("url")
        if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
            raise invalid("The url parameter must be an http or https URL.")
    elif spooled is None:
        raise missing("file")
    elif spooled.size == 0:
        raise invalid("The file parameter is empty.")
    own_name = PurePosixPath(unquote(urlsplit(url).path)).name if method == "url" and url else part_name
    filename = fields.get("filename") or own_name or "upload"
    if len(filename) > 255:
        raise invalid("The filename parameter must be 1 to 255 characters.")
    guessed = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    file_type = part_type if part_type and part_type != "application/octet-stream" else guessed
    return AssetForm(
        method=method,
        url=url if method == "url" else None,
        filename=filename,
        file_type=file_type,
        hls=_flag(fields, "enable_hls"),
        thumbnail=_flag(fields, "enable_thumbnail"),
        metadata=_metadata(fields.get("user_metadata") or ""),
        spooled=spooled if method == "direct" else None,
    )


def _flag(fields: dict[str, str], name: str) -> bool:
    value = (fields.get(name) or "true").lower()
    if value not in {"true", "false"}:
        raise invalid(f"The {name} parameter must be true or false.")
    return value == "true"


def _metadata(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid("The user_metadata parameter must be a JSON object.") from None
    return cleaned(checked_metadata(given))


def checked_metadata(given: Any) -> dict[str, Any]:
    """Metadata of the kinds that the platform takes; raises `Refusal`."""
    if not isinstance(given, dict):
        raise invalid("The user_metadata parameter must be a JSON object.")
    for name, value in given.items():
        texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not (value is None or isinstance(value, (str, int, float, bool)) or texts):
            raise invalid(f"The user_metadata.{name} parameter must be a string, number, boolean or array of strings.")
        if isinstance(value, int) and abs(value) > _MAX_SAFE:
            raise invalid(f"The user_metadata.{name} parameter is too large a number; send it as a string.")
    return given
