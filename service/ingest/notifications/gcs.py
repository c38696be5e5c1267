"""Notifications of Google Cloud Storage, which come through Pub/Sub.

What happened is in the attributes of the message (`eventType`, `bucketId`, `objectId`, `objectGeneration`); the data is
the object's metadata, or nothing. In Kafka a bridge writes the attributes as headers, or the whole message as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.ingest.notifications.arrival import Arrival, Notice, OtherEvent
from service.ingest.notifications.members import (
    Members,
    invalid,
    number_or_none,
    seconds_or_none,
    text_or_none,
    texts_of,
)

OBJECT_KIND = "storage#object"
FINALIZED = "google.cloud.storage.object.v1.finalized"
CLOUD_EVENTS = "google.cloud.storage.object.v1."
_FINALIZE = "OBJECT_FINALIZE"


def notice_of_message(attributes: Mapping[str, str], resource: Members) -> Notice:
    """A message with these attributes; `resource` is its data, empty when the payload is none. Raises `Unreadable`."""
    kind = attributes.get("eventType")
    if kind is None:
        raise invalid(
            "the attribute eventType is missing: let the bridge from Pub/Sub write the attributes as headers, or the "
            "whole message"
        )
    if kind != _FINALIZE:
        return OtherEvent(kind)
    return _arrival(
        attributes.get("bucketId") or text_or_none(resource, "bucket"),
        attributes.get("objectId") or text_or_none(resource, "name"),
        attributes.get("objectGeneration") or _generation(resource),
        resource,
        attributes.get("eventTime"),
    )


def notice_of_cloud_event(kind: str, resource: Members, time: object) -> Notice:
    """A CloudEvent of Eventarc, whose data is the object. Raises `Unreadable`."""
    if kind != FINALIZED:
        return OtherEvent(kind)
    return _arrival(
        text_or_none(resource, "bucket"), text_or_none(resource, "name"), _generation(resource), resource, time
    )


def _generation(resource: Members) -> str | None:
    number = number_or_none(resource.get("generation"))
    return None if number is None else str(number)


def _arrival(
    bucket: str | None, name: str | None, generation: str | None, resource: Members, event_time: object
) -> Arrival:
    if not bucket or not name:
        raise invalid("the bucket or the name of the object is missing")
    return Arrival(
        "gcs",
        bucket,
        name,
        version=generation or text_or_none(resource, "etag"),
        versioned=generation is not None,
        size=number_or_none(resource.get("size")),
        event_at=seconds_or_none(event_time) or seconds_or_none(resource.get("timeCreated")),
        uri=f"gs://{bucket}/{name}",
        metadata=texts_of(resource.get("metadata")),
    )
