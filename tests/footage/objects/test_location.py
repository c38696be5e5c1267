"""Which objects a request may name, and which stores the platform can reach."""

from __future__ import annotations

import pytest

from service.footage.errors import SourceNotAllowed
from service.footage.objects.location import ObjectLocation, check_allowed
from service.footage.objects.stores import is_public

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://archive/a.mp4", "archive", "a.mp4"),
        ("gs://archive/cam 7/ü?x#y%2F.mp4", "archive", "cam 7/ü?x#y%2F.mp4"),
        ("az://c/…/a.mp4", "c", "…/a.mp4"),
        ("s3://archive/a\u202fb\u3000c\u00add\u200de\u202e.mp4", "archive", "a\u202fb\u3000c\u00add\u200de\u202e.mp4"),
    ],
)
def test_a_key_is_taken_letter_by_letter(uri: str, bucket: str, key: str) -> None:
    location = ObjectLocation.of(uri)
    assert (location.bucket, location.key) == (bucket, key)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://archive/../other/a.mp4",
        "s3://archive/cam/./a.mp4",
        "s3://archive/cam//a.mp4",
        "s3://archive/cam/",
        "s3://archive//a.mp4",
        "s3://archive/",
        "s3://archive",
        "s3:///a.mp4",
        "s4://archive/a.mp4",
        "S3://archive/a.mp4",
        "s3://archive/a\n.mp4",
        "s3://archive/a\x00.mp4",
        "s3://archive/a\x7f.mp4",
        "s3://archive/a\x85.mp4",
        "s3://archive/a\u2028.mp4",
        "s3://archive/a\ud800.mp4",
        "file:///etc/passwd",
        "",
    ],
)
def test_what_might_be_read_as_another_key_is_refused(uri: str) -> None:
    with pytest.raises(SourceNotAllowed):
        ObjectLocation.of(uri)


@pytest.mark.parametrize(
    ("prefix", "uri", "allowed"),
    [
        ("s3://archive", "s3://archive/a.mp4", True),
        ("s3://archive/", "s3://archive/a.mp4", True),
        ("s3://archive", "s3://archive-private/a.mp4", False),
        ("s3://archive/cam", "s3://archive/cam/1.mp4", True),
        ("s3://archive/cam/", "s3://archive/cam/1.mp4", True),
        ("s3://archive/cam", "s3://archive/camera/1.mp4", False),
        ("s3://archive/cam", "s3://archive/cam", True),
        ("s3://archive/cam/1.mp4", "s3://archive/cam/1.mp4", True),
        ("s3://archive", "gs://archive/a.mp4", False),
        ("s3://archive", "s3://Archive/a.mp4", False),
    ],
)
def test_a_prefix_ends_where_a_part_of_the_key_ends(prefix: str, uri: str, allowed: bool) -> None:
    location = ObjectLocation.of(uri)
    if allowed:
        check_allowed(location, (prefix,))
    else:
        with pytest.raises(SourceNotAllowed, match="REELWIRE_SOURCES__OBJECT_PREFIXES"):
            check_allowed(location, (prefix,))


def test_without_prefixes_nothing_is_read() -> None:
    with pytest.raises(SourceNotAllowed, match="REELWIRE_SOURCES__OBJECT_PREFIXES"):
        check_allowed(ObjectLocation.of("s3://archive/a.mp4"), ())


@pytest.mark.parametrize(
    ("endpoint", "public"),
    [
        (None, True),
        ("https://s3.example.com", True),
        ("https://s3.example.com:9000/path", True),
        ("http://s3.example.com", False),
        ("https://localhost:9000", False),
        ("https://minio:9000", False),
        ("https://minio.storage.svc", False),
        ("https://minio.cluster.local.", False),
        ("https://127.0.0.1", False),
        ("https://10.1.2.3", False),
        ("https://192.168.1.9", False),
        ("https://169.254.169.254", False),
        ("https://[::1]:9000", False),
        ("https://[fd00::1]", False),
        ("https://[::ffff:10.0.0.1]", False),
        ("https://8.8.8.8", True),
        ("nonsense", False),
        ("", False),
    ],
)
def test_the_platform_reaches_public_addresses(endpoint: str | None, public: bool) -> None:
    assert is_public(endpoint) is public
