"""The codec agrees with the `cloudevents` package, in both directions and both modes."""

import base64
import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from contracts.cloudevents import encode
from contracts.codes import DeadLetterCode
from contracts.events import Accepted, Canceled, Fragment
from contracts.examples import load
from contracts.requests import ParsedRequest, RejectedRecord, parse_request
from contracts.trace import trace_of

pytestmark = pytest.mark.unit

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DATA: dict[str, Any] = {
    "request_id": "r-1",
    "video": {"type": "url", "url": "https://media.example.com/ä.mp4"},
    "prompt": "Was geschieht? \u2028 🎬",
}
ENVELOPE = {"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.clip"}
STRUCTURED = (("content-type", b"application/cloudevents+json"),)


def read(message: kafka.KafkaMessage) -> ParsedRequest:
    return parse_request(message.value, tuple(message.headers.items()), max_bytes=1 << 20)


def attributes(**more: Any) -> dict[str, Any]:
    return {"type": "com.example.clip.recorded", "source": "/cameras/7", **more}


def refused(value: bytes, headers: Any = STRUCTURED) -> RejectedRecord:
    with pytest.raises(RejectedRecord) as caught:
        parse_request(value, headers, max_bytes=1 << 20)
    return caught.value


@given(
    st.sampled_from(["canceled", "accepted"]),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
)
def test_an_event_of_ours_is_read_by_the_package(kind: str, reason: str, at: datetime) -> None:
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    common: dict[str, Any] = {"request_id": "r-1", "attempt": 1, "time": time, "metadata": {"reason": reason}}
    event = Canceled(**common, reason=reason) if kind == "canceled" else Accepted(**common)
    value, headers = encode(event, source="/reelwire/a", event_id="r-1-x", traceparent=PARENT, tracestate="a=1")

    read_back = kafka.from_kafka_event(kafka.KafkaMessage(headers=dict(headers), key=None, value=value))

    assert read_back.get_type() == f"com.reelwire.video.analysis.{kind}.v1"
    assert read_back.get_id() == "r-1-x"
    assert read_back.get_source() == "/reelwire/a"
    assert read_back.get_subject() == "r-1"
    assert read_back.get_specversion() == "1.0"
    assert read_back.get_datacontenttype() == "application/json"
    assert read_back.get_time() == at.replace(microsecond=at.microsecond // 1000 * 1000)
    assert read_back.get_data() == event.model_dump()


def test_an_event_of_ours_has_the_headers_the_package_would_write() -> None:
    event = Fragment(request_id="r-1", attempt=1, time="2026-11-23T07:15:17Z", sequence=0, text="a")
    _, ours = encode(event, source="/reelwire", event_id="r-1-1-0")

    theirs = kafka.to_binary_event(
        CloudEvent(
            {
                "type": "com.reelwire.video.analysis.fragment.v1",
                "source": "/reelwire",
                "id": "r-1-1-0",
                "subject": "r-1",
                "time": datetime(2026, 11, 23, 7, 15, 17, tzinfo=UTC),
                "datacontenttype": "application/json",
            },
            event.model_dump(),
        )
    )

    assert dict(ours) == theirs.headers


@pytest.mark.parametrize("kind", [None, "application/json", "application/json; charset=utf-8"])
def test_a_request_of_the_package_in_binary_mode_is_read(kind: str | None) -> None:
    given_kind = {} if kind is None else {"datacontenttype": kind}
    event = CloudEvent(attributes(traceparent=PARENT, tracestate="a=1", **given_kind), DATA)

    parsed = read(kafka.to_binary_event(event))

    assert parsed.digest == parse_request(json.dumps(DATA).encode(), (), max_bytes=1 << 20).digest
    assert (parsed.traceparent, parsed.tracestate) == (PARENT, "a=1")


@pytest.mark.parametrize("data", [DATA, json.dumps(DATA).encode()], ids=["data", "data_base64"])
def test_a_request_of_the_package_in_structured_mode_is_read(data: Any) -> None:
    event = CloudEvent(attributes(traceparent=PARENT, datacontenttype="application/json"), data)

    parsed = read(kafka.to_structured_event(event))

    assert parsed.digest == parse_request(json.dumps(DATA).encode(), (), max_bytes=1 << 20).digest
    assert (parsed.traceparent, parsed.tracestate) == (PARENT, None)


@pytest.mark.parametrize("name", ["binary", "structured"])
def test_the_example_records_are_requests_to_us_and_events_to_the_package(name: str) -> None:
    record = load("records")[name]
    headers = {key: value.encode() for key, value in record["headers"].items()}
    message = kafka.KafkaMessage(headers=headers, key=None, value=json.dumps(record["value"]).encode())

    assert read(message).traceparent == PARENT
    assert kafka.from_kafka_event(message).get_type() == "com.example.clip.recorded"


def test_an_envelope_is_known_by_its_shape_when_the_sender_left_the_content_type_out() -> None:
    parsed = parse_request(json.dumps(ENVELOPE | {"data": DATA}).encode(), (), max_bytes=1 << 20)

    assert parsed.request.request_id == "r-1"


def test_the_type_of_the_event_is_not_the_type_of_the_request() -> None:
    headers = (("ce_specversion", b"1.0"), ("ce_type", b"cancel"), ("ce_id", b"x"), ("ce_source", b"/s"))

    parsed = parse_request(json.dumps(DATA).encode(), headers, max_bytes=1 << 20)

    assert parsed.request.type == "analyze"


@pytest.mark.parametrize(
    ("code", "member", "envelope"),
    [
        ("invalid", "data", ENVELOPE),
        ("invalid", "data", ENVELOPE | {"data": None}),
        ("invalid", "data", ENVELOPE | {"data": json.dumps(DATA)}),
        ("invalid", "data", ENVELOPE | {"data": [DATA]}),
        ("invalid", "data_base64", ENVELOPE | {"data": DATA, "data_base64": "e30="}),
        ("invalid", "data_base64", ENVELOPE | {"data_base64": "?"}),
        ("invalid", "data_base64", ENVELOPE | {"data_base64": "ü"}),
        ("not_json", "data_base64", ENVELOPE | {"data_base64": "e30A="}),
        ("invalid", "data_base64", ENVELOPE | {"data_base64": "e3012"}),
        ("invalid", "data_base64", ENVELOPE | {"data_base64": 5}),
        ("invalid", "data_base64", ENVELOPE | {"data_base64": "W10="}),
        ("not_json", "data_base64", ENVELOPE | {"data_base64": "e30"[:2] + "=="}),
        ("not_utf8", "data_base64", ENVELOPE | {"data_base64": "/w=="}),
        ("invalid", "specversion", ENVELOPE | {"specversion": "0.3", "data": DATA}),
        ("invalid", "specversion", {"data": DATA}),
        ("invalid", "value", []),
    ],
)
def test_a_broken_envelope_is_refused_by_name(code: str, member: str, envelope: Any) -> None:
    error = refused(json.dumps(envelope).encode())

    assert error.code == code
    assert error.message.startswith(f"{member}: ")


@pytest.mark.parametrize(
    "kind", [b"application/cloudevents-batch+json", b"application/cloudevents+avro", b"APPLICATION/CLOUDEVENTS-BATCH"]
)
def test_batches_and_other_formats_are_refused(kind: bytes) -> None:
    error = refused(b"[]", (("Content-Type", kind),))

    assert error.code is DeadLetterCode.NOT_JSON
    assert error.message.startswith("content-type: ")


def test_the_header_of_the_transport_prevails_over_the_extension() -> None:
    other = PARENT.replace("01", "00")

    trace = trace_of((("ce_traceparent", other.encode()), ("traceparent", PARENT.encode())), {"traceparent": other})

    assert trace.traceparent == PARENT


@pytest.mark.parametrize(
    "kind",
    [
        b"application/cloudevents",
        b"Application/CloudEvents",
        b"application/cloudevents; charset=utf-8",
        b"application/cloudevents+json;charset=UTF-8",
        b" APPLICATION/CLOUDEVENTS+JSON ",
    ],
)
@pytest.mark.parametrize("name", ["content-type", "Content-Type", b"content-type", b"CONTENT-TYPE"])
def test_structured_mode_is_known_however_its_content_type_is_written(name: str | bytes, kind: bytes) -> None:
    value = json.dumps(ENVELOPE | {"data": DATA}).encode()

    parsed = parse_request(value, ((name, b"text/plain"), (name, kind)), max_bytes=1 << 20)

    assert parsed.request.request_id == "r-1"


@pytest.mark.parametrize("kind", [b"application/cloudevents", b"application/cloudevents+json; charset=utf-8"])
@pytest.mark.parametrize("name", ["ce_specversion", b"ce-specversion", "CE_SpecVersion"])
def test_attributes_in_the_headers_make_a_bare_body_the_data_whatever_the_content_type(
    name: str | bytes, kind: bytes
) -> None:
    headers = (("content-type", kind), (name, b"1.0"), ("ce_id", b"1"))

    parsed = parse_request(json.dumps(DATA).encode(), headers, max_bytes=1 << 20)
    wrapped = parse_request(json.dumps(ENVELOPE | {"data": DATA}).encode(), headers, max_bytes=1 << 20)

    assert parsed.digest == wrapped.digest == parse_request(json.dumps(DATA).encode(), (), max_bytes=1 << 20).digest


@pytest.mark.parametrize("more", ["", " ", "  "])
def test_data_base64_is_read_without_its_padding(more: str) -> None:
    encoded = base64.b64encode((json.dumps(DATA) + more).encode()).decode().rstrip("=")

    parsed = parse_request(json.dumps(ENVELOPE | {"data_base64": encoded}).encode(), STRUCTURED, max_bytes=1 << 20)

    assert parsed.request.request_id == "r-1"


def test_a_bare_request_that_is_called_an_event_is_refused() -> None:
    assert refused(json.dumps(DATA).encode(), ((b"content-type", b"application/cloudevents"),)).code == "invalid"


@pytest.mark.parametrize("kind", ["application/json", "text/json; charset=utf-8", "application/vnd.clip+json", None])
@pytest.mark.parametrize(
    "data", [{"data": DATA}, {"data_base64": base64.b64encode(json.dumps(DATA).encode()).decode()}]
)
def test_data_of_a_json_type_is_read(kind: str | None, data: dict[str, Any]) -> None:
    envelope = ENVELOPE | data | {"datacontenttype": kind}

    assert parse_request(json.dumps(envelope).encode(), STRUCTURED, max_bytes=1 << 20).request.request_id == "r-1"


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "", "json", 7, ["application/json"]])
def test_data_of_another_type_is_refused_by_name(kind: Any) -> None:
    error = refused(json.dumps(ENVELOPE | {"data": DATA, "datacontenttype": kind}).encode())

    assert error.code == "invalid"
    assert error.message.startswith("datacontenttype: ")


@given(
    st.lists(
        st.tuples(
            st.binary() | st.text() | st.sampled_from(["content-type", b"content-type", b"ce-specversion"]),
            st.none() | st.binary() | st.sampled_from([b"application/cloudevents", b"application/json"]),
        ),
        max_size=6,
    )
)
def test_no_header_raises_anything_but_a_rejection(headers: Any) -> None:
    with contextlib.suppress(RejectedRecord):
        parse_request(json.dumps(DATA).encode(), headers, max_bytes=1 << 20)
