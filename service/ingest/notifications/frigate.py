"""Events of the recorder Frigate, as it publishes them to MQTT (`frigate/events`) and a bridge brings them to Kafka.

The shape is that of Frigate's page on MQTT: `type` is new, update or end; `after` is the tracked object as it is now.
Only an object that has ended and has a clip is the arrival of a video.
"""

from __future__ import annotations

import math

from service.ingest.notifications.arrival import Arrival, Notice, OtherEvent
from service.ingest.notifications.members import Members, invalid, members_of, text_of, text_or_none

TYPES = frozenset({"new", "update", "end"})


def is_event(document: Members) -> bool:
    """Whether a document is an event of Frigate."""
    return document.get("type") in TYPES and isinstance(document.get("after"), dict)


def notice_of_event(event: Members) -> Notice:
    """One event. Raises `Unreadable`."""
    kind = str(event["type"])
    if kind != "end":
        return OtherEvent(f"frigate:{kind}")
    after = members_of(event, "after")
    if after.get("has_clip") is not True:
        return OtherEvent("frigate:no_clip")
    if after.get("false_positive") is True:
        return OtherEvent("frigate:false_positive")
    start = after.get("start_time")
    if isinstance(start, bool) or not isinstance(start, int | float) or not (math.isfinite(start) and start > 0):
        raise invalid("after.start_time: must be seconds since 1970")
    event_id, camera = text_of(after, "id", "after."), text_of(after, "camera", "after.")
    zones = after.get("entered_zones")
    return Arrival(
        "frigate",
        camera,
        event_id,
        version=event_id,
        versioned=True,
        event_at=float(start),
        fields={
            "id": event_id,
            "camera": camera,
            "label": text_or_none(after, "label") or "",
            "sub_label": _sub_label(after.get("sub_label")),
            "zones": ",".join(zone for zone in zones if isinstance(zone, str)) if isinstance(zones, list) else "",
        },
    )


def _sub_label(value: object) -> str:
    """A text, or a list of a text and how sure Frigate is of it."""
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else ""
