"""The request that a rule makes of a video. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.rejection import RejectedRecord
from contracts.requests import parse_request
from service.clock import rfc3339
from service.footage.objects.identity import object_request_id, work_of
from service.ingest.notifications.arrival import Arrival
from service.ingest.rules.rule import Rule
from service.ingest.rules.templates import NoSuchName, filled, filled_path, filled_url

_URLS = ("http://", "https://")
_OBJECTS = ("s3://", "gs://", "az://")


class RuleFault(Exception):
    """A rule is for a video, and no request can be made of the two. The message names the rule and what is wrong."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A request that is to be sent. `value` is its JSON, checked as the service checks it."""

    rule: str
    request_id: str
    key: str
    value: bytes
    without_time: bool
    """The rule asks for `recorded_at` and this video does not say it: the request goes without."""


def members_of(rule: Rule, response_format: Mapping[str, Any] | None) -> dict[str, Any]:
    """The members that are the same for every video of the rule; those that are not set are left out."""
    members = {
        "type": "analyze",
        **rule.options,
        "prompt": rule.prompt if rule.prompt is not None else rule.options.get("prompt"),
        "mode": rule.mode,
        "priority": rule.priority,
        "response_format": response_format,
    }
    return {name: value for name, value in members.items() if value is not None}


def planned(
    rule: Rule, members: Mapping[str, Any], arrival: Arrival, values: Mapping[str, str], *, max_bytes: int
) -> Planned:
    """The request for this video. `members` are those of `members_of`, `values` those of `Rule.values_for`.

    Raises `RuleFault`.
    """
    try:
        recorded = None
        if rule.recorded_at is not None:
            recorded = rule.recorded_at.of(arrival.key, arrival.metadata, arrival.event_at)
        body: dict[str, Any] = {
            **members,
            "video": _video(rule, arrival, values),
            "tenant": None if rule.tenant is None else filled(rule.tenant, values),
            "recorded_at": recorded,
        }
        body = {name: value for name, value in body.items() if value is not None}
        request_id = _request_id(rule, arrival, body)
        key = request_id if rule.key is None else filled(rule.key, values)
        metadata = _metadata(rule, arrival, values)
    except NoSuchName as error:
        raise RuleFault(f"rule {rule.name}: {error}") from None
    value = orjson.dumps({"request_id": request_id, **body, "metadata": metadata})
    try:
        parse_request(value, (), max_bytes=max_bytes, key=key.encode())
    except (RejectedRecord, UnicodeEncodeError) as error:
        message = error.message if isinstance(error, RejectedRecord) else "key: holds half of a character"
        raise RuleFault(f"rule {rule.name}: the request is not valid: {message}") from None
    return Planned(rule.name, request_id, key, value, rule.recorded_at is not None and recorded is None)


def _video(rule: Rule, arrival: Arrival, values: Mapping[str, str]) -> dict[str, str]:
    if rule.video is None:
        if arrival.uri is not None:
            return {"type": "object", "uri": arrival.uri}
        if arrival.path is not None:
            return {"type": "file", "path": arrival.path}
        raise RuleFault(f"rule {rule.name}: video: is needed for events of {arrival.source}, which name no address")
    if rule.video.startswith(_URLS):
        return {"type": "url", "url": filled_url(rule.video, values)}
    if rule.video.startswith(_OBJECTS):
        return {"type": "object", "uri": filled_path(rule.video, values)}
    return {"type": "file", "path": filled_path(rule.video, values)}


def _request_id(rule: Rule, arrival: Arrival, body: Mapping[str, Any]) -> str:
    """The same for every notification of one version. The time of an event is not a part of it: events are repeated."""
    work = dict(body)
    if rule.recorded_at is not None and not rule.recorded_at.by_name:
        work.pop("recorded_at", None)
    version = arrival.version or arrival.sequencer or ("" if arrival.event_at is None else rfc3339(arrival.event_at))
    return object_request_id(arrival.object_name, version, work_of(work))


def _metadata(rule: Rule, arrival: Arrival, values: Mapping[str, str]) -> dict[str, Any]:
    own = {name: filled(value, values) if isinstance(value, str) else value for name, value in rule.metadata.items()}
    said = {
        "rule": rule.name,
        "source": arrival.source,
        "bucket": arrival.bucket or None,
        "key": arrival.key,
        "version": arrival.version,
        "bytes": arrival.size,
        "event_at": None if arrival.event_at is None else rfc3339(arrival.event_at),
    }
    return {**own, "ingest": {name: value for name, value in said.items() if value is not None}}
