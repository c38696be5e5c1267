"""Content as base64: what is taken, what is refused, and in which words."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.requests import AnalyzeRequest, Base64Video, RejectedRecord, load_request, parse_request
from tests.contracts.hostile_records import BASE, around

pytestmark = pytest.mark.unit


def read(text: str) -> str:
    before, after = around("video")
    value = f'{before}{{"type":"base64_string","base64_string":"{text}"}}{after}'
    parsed = parse_request(value.encode(), (), max_bytes=1 << 20)
    assert load_request(parsed.body) == parsed.request
    assert isinstance(parsed.request, AnalyzeRequest)
    assert isinstance(parsed.request.video, Base64Video)
    return parsed.request.video.base64_string


@given(st.binary(min_size=1, max_size=100), st.booleans())
def test_standard_base64_is_taken_as_it_is_padded_or_not(content: bytes, padded: bool) -> None:
    text = base64.b64encode(content).decode()
    text = text if padded else text.rstrip("=")

    assert read(text) == text


@pytest.mark.parametrize(
    "prefix",
    [
        "data:;base64,",
        "data:video/mp4;base64,",
        "DATA:Video/MP4;BASE64,",
        "data:video/mp4;codecs=avc1.42E01E;base64,",
        "data:video/webm;codecs=vp8,opus;base64,",
        'data:video/mp4;codecs=\\"avc1.42E01E, mp4a.40.2\\";base64,',
        "data:;" + "a" * 242 + ";base64,",
    ],
)
def test_the_prefix_of_a_data_url_is_taken_off(prefix: str) -> None:
    assert read(prefix + "AAAAGGZ0eXA=") == "AAAAGGZ0eXA="


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AAAA\\r\\nAAAA", "white space"),
        ("AAAA AAAA", "white space"),
        ("AA-_", "URL-safe"),
        ("A" * 5, "length"),
        ("AA=", "length"),
        ("AA=A", "not base64"),
        ("", "empty"),
        ("data:;base64,", "empty"),
        ("data:video/mp4,AAAA", "data: URL"),
        ("data:" + "a" * 300 + ";base64,AAAA", "data: URL"),
        ("data:" + "a" * 244 + ";base64,AAAA", "data: URL"),
        ("data:a\\nb;base64,AAAA", "data: URL"),
        ("data:;base64,data:;base64,AAAA", "not base64"),
    ],
)
def test_anything_else_is_refused_in_words_that_help(text: str, words: str) -> None:
    with pytest.raises(RejectedRecord) as caught:
        read(text)

    assert caught.value.message.startswith("video.base64_string: ")
    assert words in caught.value.message


def test_an_image_is_read_alike() -> None:
    data = BASE | {"model_name": "pegasus1.6", "image": [{"name": "a", "base64_string": "data:image/png;base64,AAAA"}]}
    del data["video"]

    request = AnalyzeRequest.model_validate(data)

    assert request.image is not None
    assert request.image[0].base64_string == "AAAA"
