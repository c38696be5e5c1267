"""The form of `POST /assets`, taken apart byte for byte: `multipart/form-data` as the documents show it on the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from typing import Any

from tests.standin.rules import Violated, strict_json, text, url, user_metadata

_FIELDS = ("method", "url", "filename", "enable_hls", "enable_thumbnail", "user_metadata")
_DIRECT_BYTES = 200_000_000


@dataclass
class Form:
    method: str
    filename: str
    url: str | None
    file: bytes | None
    metadata: dict[str, Any]


def read_form(content_type: str, body: bytes) -> Form:
    """The form, or `Violated`: wrong parts, parts twice, the file before a field, values out of range."""
    boundary = _boundary(content_type)
    delimiter = b"--" + boundary.encode()
    if not body.startswith(delimiter + b"\r\n") or not body.rstrip(b"\r\n").endswith(delimiter + b"--"):
        raise Violated("the form must begin and end with its boundary")
    fields: dict[str, str] = {}
    file: tuple[str, bytes] | None = None
    for raw in body.split(b"\r\n" + delimiter):
        part = raw.removeprefix(delimiter)
        if part.startswith(b"--"):
            break
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name, filename, kind = _head(head)
        if file is not None:
            raise Violated(f"part {name} comes after the file; a reader of a stream needs all fields first")
        if name == "file":
            if not filename or not kind:
                raise Violated("the part file has a filename and a Content-Type")
            file = filename, content
        elif name not in _FIELDS or name in fields:
            raise Violated(f"part {name} is not documented, or there twice", code="parameter_unknown")
        elif filename or kind:
            raise Violated(f"part {name} is text: it has neither filename nor Content-Type")
        else:
            fields[name] = content.decode("utf-8")
    return _checked(fields, file)


def _boundary(content_type: str) -> str:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise Violated("the content type must be multipart/form-data with a boundary", code="content_type_invalid")
    return boundary


def _head(head: bytes) -> tuple[str, str | None, str | None]:
    lines = [line.decode("utf-8").partition(":") for line in head.split(b"\r\n")]
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    disposition = headers.pop("content-disposition", "")
    kind = headers.pop("content-type", None)
    if headers:
        raise Violated(f"a part has headers that are not documented: {sorted(headers)}")
    found = re.fullmatch(r'form-data; name="([^"]*)"(?:; filename="([^"]*)")?', disposition)
    if found is None:
        raise Violated(f"a part's Content-Disposition is {disposition}")
    return found.group(1), found.group(2), kind


def _checked(fields: dict[str, str], file: tuple[str, bytes] | None) -> Form:
    method = fields.get("method")
    if method not in {"direct", "url"}:
        raise Violated("method must be direct or url", code="parameter_not_provided")
    if (method == "direct") != (file is not None) or (method == "url") != ("url" in fields):
        raise Violated("a file goes with direct and only with it, a url with url and only with it")
    if "url" in fields:
        url()(fields["url"], "url")
    if file is not None and not 0 < len(file[1]) <= _DIRECT_BYTES:
        raise Violated(f"the file has {len(file[1])} bytes; 1 to {_DIRECT_BYTES} are possible")
    for name in ("enable_hls", "enable_thumbnail"):
        if fields.get(name, "true") not in {"true", "false"}:
            raise Violated(f"{name} must be true or false")
    if "filename" in fields:
        text(1, 255)(fields["filename"], "filename")
    metadata = strict_json(fields.get("user_metadata", "{}").encode())
    user_metadata(metadata, "user_metadata")
    name = fields.get("filename") or (file[0] if file else "video")
    return Form(method, name, fields.get("url"), file and file[1], metadata)
