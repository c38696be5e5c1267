"""Reads a notification of any kind that is known, and takes it out of its envelopes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.codes import DeadLetterCode
from contracts.deadletters import Header
from contracts.json_reader import read_json
from contracts.rejection import RejectedRecord
from service.ingest.notifications import azure, frigate, gcs, s3
from service.ingest.notifications.arrival import Notice, OtherEvent, Unreadable
from service.ingest.notifications.members import Members, invalid

MAX_NOTIFICATION_BYTES = 1024 * 1024
_MOST_ENVELOPES = 4
_MOST_ENTRIES = 1_000


def read_notification(value: bytes | None, headers: tuple[Header, ...] = ()) -> list[Notice]:
    """What a record or a body says, in its order. Never raises: what can't be read is `Unreadable`, entry by entry.

    Known are events of S3 and MinIO, of S3 through EventBridge, of Google Cloud Storage through Pub/Sub, of Azure
    through Event Grid, and of Frigate; also in the envelopes of SNS, SQS and Pub/Sub, up to four of them, and as a
    CloudEvent in either mode.
    """
    try:
        if value is not None and len(value) > MAX_NOTIFICATION_BYTES:
            raise Unreadable(
                DeadLetterCode.TOO_LARGE, f"value: {len(value)} bytes; at most {MAX_NOTIFICATION_BYTES} are taken"
            )
        named = _texts(headers)
        if not value and "eventType" in named:  # of Google, with the payload format NONE
            return [gcs.notice_of_message(named, {})]
        found = list(_notices(_json(value, "value"), named, 0))
    except Unreadable as unreadable:
        return [unreadable]
    if len(found) > _MOST_ENTRIES:
        message = f"value: holds {len(found)} events; at most {_MOST_ENTRIES} are taken"
        return [Unreadable(DeadLetterCode.TOO_LARGE, message)]
    return found


def _texts(headers: tuple[Header, ...]) -> dict[str, str]:
    """Headers as text, the last of a name; those that are no text are left out."""
    found: dict[str, str] = {}
    for name, value in headers:
        if value is not None and len(value) <= MAX_NOTIFICATION_BYTES:
            try:
                found[name] = value.decode()
            except UnicodeDecodeError:
                continue
    return found


def _json(raw: bytes | str | None, member: str) -> Any:
    try:
        return read_json(raw.encode() if isinstance(raw, str) else raw, member)
    except RejectedRecord as rejected:
        raise Unreadable(rejected.code, rejected.message) from None
    except UnicodeEncodeError:
        raise Unreadable(DeadLetterCode.NOT_UTF8, f"{member}: holds half of a character") from None


def _notices(document: Any, named: Mapping[str, str], depth: int) -> Iterator[Notice]:
    if depth > _MOST_ENVELOPES:
        raise invalid(f"more than {_MOST_ENVELOPES} envelopes are around the event")
    if isinstance(document, list):
        for number, entry in enumerate(document):
            try:
                yield from _notices(entry, {}, depth + 1)
            except Unreadable as unreadable:
                yield Unreadable(unreadable.code, f"[{number}]: {unreadable.message}")
        return
    if not isinstance(document, dict):
        raise invalid("value: must be a JSON object, or an array of them")
    yield from _of_object(document, named, depth)


def _of_object(document: Members, named: Mapping[str, str], depth: int) -> Iterator[Notice]:
    if document.get("Event") == "s3:TestEvent" or document.get("Type") == "UnsubscribeConfirmation":
        yield OtherEvent(str(document.get("Event") or document.get("Type")))
    elif isinstance(document.get("Records"), list):
        yield from _of_records(document, depth)
    elif isinstance(document.get("Messages"), list):  # the answer of SQS
        for message in document["Messages"]:
            yield from _inside(message, "Body", depth)
    elif "ReceiptHandle" in document or document.get("Type") == "Notification":  # of SQS, or of SNS
        yield from _inside(document, "Body" if "ReceiptHandle" in document else "Message", depth)
    elif document.get("source") == "aws.s3":
        yield s3.notice_of_eventbridge(document)
    elif isinstance(document.get("message"), dict) and "subscription" in document:  # a push of Pub/Sub
        yield from _of_pubsub(document["message"], depth)
    elif isinstance(document.get("attributes"), dict) and "data" in document:  # a message of Pub/Sub by itself
        yield from _of_pubsub(document, depth)
    elif document.get("kind") == gcs.OBJECT_KIND:
        yield _of_google_object(document, named)
    elif frigate.is_event(document):
        yield frigate.notice_of_event(document)
    else:
        yield _of_event(document, named)


def _of_records(document: Members, depth: int) -> Iterator[Notice]:
    """Entries of S3; or of SNS and SQS, as they are given to a function of Lambda."""
    for number, entry in enumerate(document["Records"]):
        try:
            if isinstance(entry, dict) and isinstance(entry.get("Sns"), dict):
                yield from _inside(entry["Sns"], "Message", depth)
            elif isinstance(entry, dict) and entry.get("eventSource") == "aws:sqs":
                yield from _inside(entry, "body", depth)
            else:
                yield s3.notice_of_entry(entry, f"Records[{number}].")
        except Unreadable as unreadable:  # it does not keep the others from being read
            yield unreadable


def _inside(envelope: Any, name: str, depth: int) -> Iterator[Notice]:
    text = envelope.get(name) if isinstance(envelope, dict) else None
    if not isinstance(text, str):
        raise invalid(f"{name}: must be the event as text")
    yield from _notices(_json(text, name), {}, depth + 1)


def _of_pubsub(message: Members, depth: int) -> Iterator[Notice]:
    attributes = {name: text for name, text in (message.get("attributes") or {}).items() if isinstance(text, str)}
    data = message.get("data")
    document: Any = {}
    if isinstance(data, str) and data:
        try:
            document = _json(base64.b64decode(data, validate=True), "data")
        except (binascii.Error, ValueError):
            raise invalid("data: must be base64") from None
    elif isinstance(data, dict):
        document = data
    if "eventType" in attributes and isinstance(document, dict):
        yield gcs.notice_of_message(attributes, document)
    else:
        yield from _notices(document, attributes, depth + 1)


def _of_google_object(document: Members, named: Mapping[str, str]) -> Notice:
    kind = named.get("ce_type", "")
    if kind.startswith(gcs.CLOUD_EVENTS):
        return gcs.notice_of_cloud_event(kind, document, named.get("ce_time"))
    return gcs.notice_of_message(named, document)


def _of_event(document: Members, named: Mapping[str, str]) -> Notice:
    """An event of Event Grid, or a CloudEvent. In binary mode the attributes are headers."""
    event: Members = document
    if "ce_type" in named and "specversion" not in document:
        event = {"type": named["ce_type"], "time": named.get("ce_time"), "data": document}
    kind = next((text for text in (event.get("eventType"), event.get("type")) if isinstance(text, str)), "")
    data = event.get("data")
    if kind.startswith(azure.STORAGE):
        return azure.notice_of_event(event)
    if kind.startswith("Microsoft.EventGrid."):
        return OtherEvent(kind)
    if kind.startswith(gcs.CLOUD_EVENTS) and isinstance(data, dict):
        return gcs.notice_of_cloud_event(kind, data, event.get("time"))
    raise Unreadable(
        DeadLetterCode.UNKNOWN_TYPE,
        "value: is no notification that is known here (S3, MinIO, EventBridge, Google Cloud Storage, Event Grid, "
        "Frigate)",
    )
