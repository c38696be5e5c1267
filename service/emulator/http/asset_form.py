"""The multipart form that creates an asset, read as a stream: fields first, the file straight to disk."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from aiohttp import BodyPartReader, MultipartReader, web

from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.http.bodies import BodyClock, plain_text, readable
from service.emulator.media.spool import Spooled
from service.emulator.model.assets import cleaned
from service.emulator.model.viewer import Viewer
from service.emulator.options import EmulatorOptions
from service.emulator.refusals import Refusal, invalid, missing

_CHUNK_BYTES = 256 * 1024
_FIELD_BYTES = 64 * 1024
_MOST_PARTS = 100
_KNOWN = frozenset({"method", "url", "filename", "enable_hls", "enable_thumbnail", "user_metadata", "file"})
_MAX_SAFE = 2**53 - 1
_MIME_TYPE = re.compile(r"[a-z0-9.+_-]{1,80}/[a-z0-9.+_-]{1,80}")


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


@dataclass(slots=True)
class _Parts:
    """What has been read so far."""

    fields: dict[str, str] = field(default_factory=dict)
    spooled: Spooled | None = None
    file_name: str = ""
    file_type: str = ""


@behaves(
    "assets.form",
    "An asset is created by a form, also from a URL; JSON is 400 `content_type_invalid`.",
    KnownFrom.DOCUMENTED,
    test="http/test_asset_form.py::test_json_is_not_a_form",
    on=("asset_create",),
    item=10,
)
async def read_asset_form(request: web.Request, viewer: Viewer, options: EmulatorOptions) -> AssetForm:
    """Read the form to its end; raises `Refusal`, and then leaves no file behind."""
    if request.content_type != "multipart/form-data":
        raise Refusal(400, "content_type_invalid", "The content type must be multipart/form-data.")
    parts = _Parts()
    try:
        with readable("form"):
            await _read(request, viewer, options, parts)
        form = _checked(parts, strict=options.strict_parameters)
    except BaseException:
        _drop(parts.spooled)
        raise
    if form.spooled is None:  # a file that came along with a URL
        _drop(parts.spooled)
    return form


def _drop(spooled: Spooled | None) -> None:
    if spooled is not None:
        spooled.path.unlink(missing_ok=True)


async def _read(request: web.Request, viewer: Viewer, options: EmulatorOptions, parts: _Parts) -> None:
    clock = BodyClock(options.silence_seconds)
    reader = await request.multipart()
    for _ in range(_MOST_PARTS):
        part = await clock.wait(reader.next())
        if part is None:
            return
        if isinstance(part, MultipartReader):
            raise invalid("The form must not be nested.")
        name = plain_text(part.name or "")
        direct = parts.fields.get("method") == "direct"
        if name == "file" and parts.spooled is None and (part.filename or direct):
            parts.file_name = plain_text(part.filename or "upload")
            parts.file_type = part.headers.get("Content-Type", "")
            parts.spooled = await _spool(part, viewer, options.direct_limit_bytes, clock)
        else:
            parts.fields[name] = await _text(part, name, clock)
    raise invalid(f"The form has more than {_MOST_PARTS} parts.")


async def _spool(part: BodyPartReader, viewer: Viewer, limit_bytes: int, clock: BodyClock) -> Spooled:
    async with viewer.spool(limit_bytes) as spool:
        while chunk := await clock.wait(part.read_chunk(_CHUNK_BYTES)):
            clock.received(len(chunk))
            await spool.write(chunk)
        return await spool.finish()


async def _text(part: BodyPartReader, name: str, clock: BodyClock) -> str:
    data = bytearray()
    while chunk := await clock.wait(part.read_chunk(_FIELD_BYTES)):
        data += chunk
        clock.received(len(chunk))
        if len(data) > _FIELD_BYTES:
            raise invalid(f"The {name[:80]} parameter is too long.")
    return data.decode("utf-8", "replace")


@behaves(
    "assets.empty_parts",
    "An empty part counts as absent.",
    KnownFrom.INFERRED,
    test="http/test_behaviours.py::test_an_empty_part_of_the_form_counts_as_absent",
    on=("asset_create",),
)
def _checked(parts: _Parts, *, strict: bool) -> AssetForm:
    fields = parts.fields
    unknown = sorted(fields.keys() - _KNOWN)
    if strict and unknown:
        raise Refusal(400, "parameter_unknown", f"Unknown parameters: {', '.join(unknown)}.")
    method = fields.get("method") or ""
    if not method:
        raise missing("method")
    if method not in {"direct", "url"}:
        raise invalid("The method parameter must be direct or url.")
    url = _checked_url(fields.get("url") or "") if method == "url" else None
    if method == "direct" and parts.spooled is None:
        raise missing("file")
    if method == "direct" and parts.spooled is not None and parts.spooled.size == 0:
        raise invalid("The file parameter is empty.")
    own_name = PurePosixPath(unquote(urlsplit(url).path)).name if url is not None else parts.file_name
    filename = fields.get("filename") or own_name or "upload"
    if len(filename) > 255:
        raise invalid("The filename parameter must be 1 to 255 characters.")
    return AssetForm(
        method=method,
        url=url,
        filename=filename,
        file_type=_file_type(parts.file_type, filename),
        hls=_flag(fields, "enable_hls"),
        thumbnail=_flag(fields, "enable_thumbnail"),
        metadata=_metadata(fields.get("user_metadata") or ""),
        spooled=parts.spooled if method == "direct" else None,
    )


def _checked_url(url: str) -> str:
    if not url:
        raise missing("url")
    try:
        whole = url.startswith(("http://", "https://")) and bool(urlsplit(url).hostname)
    except ValueError:
        whole = False
    if not whole:
        raise invalid("The url parameter must be an http or https URL.")
    return url


def _file_type(given: str, filename: str) -> str:
    named = given.partition(";")[0].strip().lower()
    if _MIME_TYPE.fullmatch(named) and named != "application/octet-stream":
        return named
    return mimetypes.guess_type(filename)[0] or "application/octet-stream"


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
        if not (value is None or isinstance(value, str | int | float | bool) or texts):
            raise invalid(f"The user_metadata.{name} parameter must be a string, number, boolean or array of strings.")
        if isinstance(value, int | float) and abs(value) > _MAX_SAFE:
            raise invalid(f"The user_metadata.{name} parameter is too large a number; send it as a string.")
    return given
