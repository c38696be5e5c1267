"""Notifications of every kind that is known, in the shapes that the stores' own pages show."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from contracts.codes import DeadLetterCode
from contracts.deadletters import Header
from service.ingest.notifications.arrival import Arrival, Notice, OtherEvent, Unreadable, later
from service.ingest.notifications.reading import read_notification
from tests.ingest.world import record_of, s3_event

pytestmark = pytest.mark.unit

MINIO = {
    "EventName": "s3:ObjectCreated:Put",
    "Key": "footage/cams/a%20b.mp4",
    "Records": [
        {
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "eventTime": "2026-11-23T07:15:00.123Z",
            "eventName": "s3:ObjectCreated:CompleteMultipartUpload",
            "s3": {
                "bucket": {"name": "footage"},
                "object": {
                    "key": "cams%2Fcam7%2Fa+b%2Bc.mp4",
                    "size": 12,
                    "eTag": "abc-2",
                    "versionId": "null",
                    "sequencer": "18A0C2F2D1E4B3A0",
                    "userMetadata": {"X-Amz-Meta-Recorded": "2026-11-23T07:00:00Z", "content-type": "video/mp4"},
                },
            },
        }
    ],
}
EVENTBRIDGE = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "time": "2026-11-23T07:15:00Z",
    "detail": {
        "bucket": {"name": "footage"},
        "object": {
            "key": "cams/a+b.mp4",
            "size": 5,
            "etag": "e1",
            "version-id": "v7",
            "sequencer": "00617F08299329D189",
        },
        "reason": "PutObject",
    },
}
GOOGLE = {
    "kind": "storage#object",
    "name": "cams/a b.mp4",
    "bucket": "footage",
    "generation": "1763881200000001",
    "timeCreated": "2026-11-23T07:15:00.000Z",
    "size": "7",
    "metadata": {"Recorded": "2026-11-23T07:00:00Z"},
}
GOOGLE_ATTRIBUTES = {
    "eventType": "OBJECT_FINALIZE",
    "bucketId": "footage",
    "objectId": "cams/a b.mp4",
    "objectGeneration": "1763881200000001",
    "payloadFormat": "JSON_API_V1",
}
AZURE_DATA = {
    "api": "PutBlockList",
    "eTag": "0x8D4BCC2E4835CD0",
    "contentLength": 524288,
    "blobType": "BlockBlob",
    "url": "https://account7.blob.core.windows.net/footage/cams/a%20b.mp4",
    "sequencer": "00000000000004420000000000028963",
}
EVENT_GRID = {
    "topic": "/subscriptions/1/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/account7",
    "subject": "/blobServices/default/containers/footage/blobs/cams/a b.mp4",
    "eventType": "Microsoft.Storage.BlobCreated",
    "eventTime": "2026-11-23T07:15:00.9584103Z",
    "id": "831e1650",
    "data": AZURE_DATA,
    "dataVersion": "",
}
CLOUD_EVENT = {
    "specversion": "1.0",
    "type": "Microsoft.Storage.BlobCreated",
    "source": EVENT_GRID["topic"],
    "id": "831e1650",
    "time": "2026-11-23T07:15:00.9584103Z",
    "data": AZURE_DATA,
}
FRIGATE: dict[str, Any] = {
    "type": "end",
    "before": {},
    "after": {
        "id": "1763881200.475377-mxklsc",
        "camera": "front_door",
        "label": "person",
        "sub_label": ["Eli", 0.51],
        "false_positive": False,
        "start_time": 1763881200.475377,
        "end_time": 1763881212.1,
        "has_clip": True,
        "entered_zones": ["driveway", "porch"],
    },
}


def _read(document: object, headers: tuple[Header, ...] = ()) -> list[Notice]:
    return read_notification(orjson.dumps(document), headers)


def _one(document: object, headers: tuple[Header, ...] = ()) -> Arrival:
    (found,) = _read(document, headers)
    assert isinstance(found, Arrival), found
    return found


def _as_headers(attributes: dict[str, str]) -> tuple[Header, ...]:
    return tuple((name, value.encode()) for name, value in attributes.items())


def test_a_key_of_s3_is_decoded_as_a_form_and_a_plus_is_a_space() -> None:
    found = _one(MINIO)

    assert found.key == "cams/cam7/a b+c.mp4"
    assert found.uri == "s3://footage/cams/cam7/a b+c.mp4"
    assert (found.version, found.versioned) == ("abc-2", False)
    assert found.metadata["recorded"] == "2026-11-23T07:00:00Z"


def test_an_event_of_eventbridge_has_the_key_as_it_is_and_a_version() -> None:
    found = _one(EVENTBRIDGE)

    assert (found.key, found.version, found.versioned) == ("cams/a+b.mp4", "v7", True)


@pytest.mark.parametrize(
    "envelope",
    [
        lambda text: {"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": text},
        lambda text: {"MessageId": "1", "ReceiptHandle": "r", "Body": text},
        lambda text: {"Messages": [{"MessageId": "1", "Body": text}]},
        lambda text: {"Records": [{"eventSource": "aws:sqs", "body": text}]},
        lambda text: {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]},
        lambda text: {
            "MessageId": "1",
            "ReceiptHandle": "r",
            "Body": orjson.dumps({"Type": "Notification", "Message": text}).decode(),
        },
        lambda text: {
            "message": {"data": base64.b64encode(text.encode()).decode(), "attributes": {}},
            "subscription": "s",
        },
    ],
    ids=["sns", "sqs", "sqs answer", "sqs to lambda", "sns to lambda", "sns in sqs", "pubsub push"],
)
def test_an_envelope_is_taken_off(envelope: Any) -> None:
    found = _one(envelope(record_of(s3_event("cams/a.mp4")).decode()))

    assert found.key == "cams/a.mp4"


@pytest.mark.parametrize(
    ("document", "headers"),
    [
        (GOOGLE, _as_headers(GOOGLE_ATTRIBUTES)),
        (
            {
                "message": {"data": base64.b64encode(orjson.dumps(GOOGLE)).decode(), "attributes": GOOGLE_ATTRIBUTES},
                "subscription": "projects/p/subscriptions/s",
            },
            (),
        ),
        ({"data": base64.b64encode(orjson.dumps(GOOGLE)).decode(), "attributes": GOOGLE_ATTRIBUTES}, ()),
        ({"specversion": "1.0", "type": "google.cloud.storage.object.v1.finalized", "data": GOOGLE}, ()),
        (GOOGLE, (("ce_type", b"google.cloud.storage.object.v1.finalized"), ("ce_specversion", b"1.0"))),
    ],
    ids=["headers", "push", "message", "structured event", "binary event"],
)
def test_google_says_what_happened_in_attributes(document: object, headers: tuple[Header, ...]) -> None:
    found = _one(document, headers)

    assert (found.source, found.uri, found.version) == ("gcs", "gs://footage/cams/a b.mp4", "1763881200000001")
    assert (found.size, found.metadata) == (7, {"recorded": "2026-11-23T07:00:00Z"})


def test_google_may_send_no_payload_at_all() -> None:
    (found,) = read_notification(b"", _as_headers(GOOGLE_ATTRIBUTES))

    assert isinstance(found, Arrival)
    assert found.uri == "gs://footage/cams/a b.mp4"


@pytest.mark.parametrize(
    ("document", "headers"),
    [
        (EVENT_GRID, ()),
        ([EVENT_GRID], ()),
        (CLOUD_EVENT, ()),
        ([CLOUD_EVENT], ()),
        (AZURE_DATA, (("ce_type", b"Microsoft.Storage.BlobCreated"), ("ce_time", b"2026-11-23T07:15:00Z"))),
    ],
    ids=["event grid", "array", "cloud event", "array of cloud events", "binary"],
)
def test_a_blob_is_named_by_its_url(document: object, headers: tuple[Header, ...]) -> None:
    found = _one(document, headers)

    assert (found.uri, found.version) == ("az://footage/cams/a b.mp4", "0x8D4BCC2E4835CD0")
    assert (found.size, found.fields["account"]) == (524288, "account7")
    assert found.event_at is not None
    assert int(found.event_at) == 1795418100


def test_an_event_of_frigate_that_has_ended_is_a_clip() -> None:
    found = _one(FRIGATE)

    assert (found.source, found.bucket, found.key) == ("frigate", "front_door", "1763881200.475377-mxklsc")
    assert found.fields == {
        "id": "1763881200.475377-mxklsc",
        "camera": "front_door",
        "label": "person",
        "sub_label": "Eli",
        "zones": "driveway,porch",
    }
    assert found.event_at == 1763881200.475377


@pytest.mark.parametrize(
    ("document", "headers"),
    [
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "footage"}, ()),
        ({"Records": [s3_event("a.mp4", event="ObjectRemoved:Delete")]}, ()),
        ({**EVENTBRIDGE, "detail-type": "Object Deleted"}, ()),
        (GOOGLE, _as_headers({**GOOGLE_ATTRIBUTES, "eventType": "OBJECT_DELETE"})),
        ({**EVENT_GRID, "eventType": "Microsoft.Storage.BlobDeleted"}, ()),
        ({**EVENT_GRID, "data": {**AZURE_DATA, "api": "CreateFile", "contentLength": 0}}, ()),
        ([{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "x"}}], ()),
        ({**FRIGATE, "type": "new"}, ()),
        ({**FRIGATE, "type": "update"}, ()),
        ({**FRIGATE, "after": {**FRIGATE["after"], "has_clip": False}}, ()),
    ],
)
def test_what_is_no_arrival_is_an_other_event(document: object, headers: tuple[Header, ...]) -> None:
    (found,) = _read(document, headers)

    assert isinstance(found, OtherEvent)


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (None, DeadLetterCode.NOT_JSON, "is null"),
        (b"", DeadLetterCode.NOT_JSON, "is empty"),
        (b"\xff{}", DeadLetterCode.NOT_UTF8, "byte 0"),
        (b"{", DeadLetterCode.NOT_JSON, "is not JSON"),
        (b"7", DeadLetterCode.INVALID, "must be a JSON object"),
        (b'{"request_id": "a"}', DeadLetterCode.UNKNOWN_TYPE, "is no notification that is known"),
        (b'{"Records": [{"eventName": "ObjectCreated:Put"}]}', DeadLetterCode.INVALID, "Records[0].s3: must be"),
        (record_of(s3_event("%FF.mp4")), DeadLetterCode.INVALID, "Records[0].s3.object.key: is not UTF-8"),
        (orjson.dumps(GOOGLE), DeadLetterCode.INVALID, "the attribute eventType is missing"),
        (b'{"Type":"Notification","Message":"{\\"Type\\":"}', DeadLetterCode.NOT_JSON, "Message: is not JSON"),
        (b"[" * 300, DeadLetterCode.NOT_JSON, "nested deeper"),
        (b" " * (1024 * 1024 + 1), DeadLetterCode.TOO_LARGE, "at most"),
        (b'[[[[[[{"a":1}]]]]]]', DeadLetterCode.INVALID, "more than 4 envelopes"),
        (orjson.dumps({**EVENT_GRID, "data": {**AZURE_DATA, "url": "file:///x"}}), DeadLetterCode.INVALID, "no URL"),
        (b'{"type":"end","after":{"has_clip":true,"start_time":1e999}}', DeadLetterCode.INVALID, "beyond 1.8e308"),
    ],
)
def test_what_can_not_be_read_says_why(value: bytes | None, code: DeadLetterCode, words: str) -> None:
    (found,) = read_notification(value)

    assert isinstance(found, Unreadable)
    assert found.code == code
    assert words in found.message


def test_one_wrong_entry_does_not_keep_the_others_from_being_read() -> None:
    found = _read({"Records": [s3_event("a.mp4"), 7, s3_event("b.mp4")]})

    assert [type(one) for one in found] == [Arrival, Unreadable, Arrival]


def test_sequencers_of_different_lengths_are_compared_from_the_left() -> None:
    assert later("0055AED6DCD90281E6", "0055AED6DCD90281E5")
    assert not later("0055AED6DCD90281E5", "0055AED6DCD90281E5")
    assert later("A1", "A0FF")
    assert not later("a", "A0")
