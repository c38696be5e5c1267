"""Build a request from command options, and check it as the service would."""

from __future__ import annotations

import difflib
import re
import uuid
from pathlib import Path
from typing import Any

import click
import orjson

from contracts.rejection import RejectedRecord
from contracts.requests import AnalyzeRequest, parse_request
from service.settings import Settings

DEFAULT_PROMPT = "Describe this video: what happens, in order, with timestamps."

_OBJECT = re.compile(r"^(s3|gs|az)://")
_URL = re.compile(r"^https?://", re.IGNORECASE)
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_MEMBERS = frozenset(AnalyzeRequest.model_fields)


def new_request_id() -> str:
    """A new, random request id."""
    return f"cli-{uuid.uuid4().hex[:16]}"


def video_of(source: str, key: str | None = None) -> dict[str, str]:
    """The `video` member for a SOURCE: a URL, `asset:ID`, s3://…, gs://…, az://…, or the path of a file."""
    scheme = _SCHEME.match(source)
    if not source.strip():
        raise click.UsageError("SOURCE is empty: give a URL, asset:ID, s3://…, gs://…, az://… or the path of a file")
    if scheme and scheme[1].lower() not in ("http", "https", "s3", "gs", "az", "file"):
        raise click.UsageError(
            f"{scheme[1]}:// is no source that can be read; give http:// or https://, s3://, gs://, az://, or a path"
        )
    if _URL.match(source):
        video = {"type": "url", "url": source}
    elif _OBJECT.match(source):
        video = {"type": "object", "uri": source}
    elif source.startswith("asset:"):
        video = {"type": "asset_id", "asset_id": source.removeprefix("asset:")}
    else:
        path = Path(source.removeprefix("file://")).expanduser()
        video = {"type": "file", "path": str(path.absolute())}
    return video | ({"key": key} if key else {})


def hints(video: dict[str, str], settings: Settings) -> list[str]:
    """Warnings about a file source, as far as this machine can tell."""
    if video["type"] != "file":
        return []
    path, roots = Path(video["path"]), settings.sources.file_roots
    found = []
    if not path.is_file():
        found.append(f"{path} is no file here; the service must find it at this path where it runs")
    if not roots:
        found.append("REELWIRE_SOURCES__FILE_ROOTS is empty here; the service must allow a root above this path")
    elif not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
        allowed = ", ".join(map(str, roots))
        found.append(f"the path is below no allowed root ({allowed}); the service may refuse it: source_not_allowed")
    return found


def response_format(path: str) -> dict[str, Any]:
    """The response format in a file: the platform's object, or a plain JSON Schema, which is wrapped into one."""
    document = json_object(Path(path).read_text(encoding="utf-8"), path)
    if document.get("type") in {"json_schema", "segment_definitions"} and len(document) > 1:
        return document
    return {"type": "json_schema", "json_schema": document}


def json_object(text: str, name: str) -> dict[str, Any]:
    """Decode a JSON object from an option or file. A usage error names it by `name`."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"{name}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError(f"{name}: must be a JSON object")
    return value


def extra_member(text: str) -> tuple[str, Any]:
    """The name and value of `--set NAME=VALUE`. The value is decoded if it is JSON, else it is a string."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise click.UsageError(f"--set {text}: write NAME=VALUE")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def request_member(text: str) -> tuple[str, Any]:
    """`extra_member` of a request. A usage error for a member that the service would ignore."""
    name, value = extra_member(text)
    if name not in _MEMBERS:
        close = difflib.get_close_matches(name, _MEMBERS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise click.UsageError(f"--set {name}: a request has no such member, so the service would ignore it{hint}")
    return name, value


def checked(body: dict[str, Any], settings: Settings) -> bytes:
    """The request as JSON, checked as the service checks it. A usage error says what is wrong."""
    value = orjson.dumps({name: member for name, member in body.items() if member is not None})
    try:
        parse_request(value, (), max_bytes=settings.jobs.max_request_bytes)
    except RejectedRecord as error:
        raise click.UsageError(f"the request would become a dead letter ({error.code}): {error.message}") from None
    return value
