"""Names of objects, and which of them a request may name. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from service.footage.errors import SourceNotAllowed
from service.footage.names import has_controls

Scheme = Literal["s3", "gs", "az"]

_SCHEMES: dict[str, Scheme] = {"s3": "s3", "gs": "gs", "az": "az"}

_SETTING = "REELWIRE_SOURCES__OBJECT_PREFIXES"


def scheme_named(name: str) -> Scheme | None:
    """The scheme with this name; None if it is not one of an object store."""
    return _SCHEMES.get(name)


@dataclass(frozen=True, slots=True)
class ObjectLocation:
    """One object. `bucket` is the container where the scheme is `az`."""

    scheme: Scheme
    bucket: str
    key: str

    @classmethod
    def of(cls, uri: str) -> ObjectLocation:
        """The location that a URI names, letter by letter: nothing is decoded. Raises `SourceNotAllowed`.

        Keys that a store, a proxy or a browser would read as another key are refused: a check of a prefix says nothing
        about them. So are control characters, which no client of the stores sends.
        """
        name, _, rest = uri.partition("://")
        scheme = scheme_named(name)
        bucket, _, key = rest.partition("/")
        if scheme is None or not bucket or not key:
            raise SourceNotAllowed("an object is named by s3://, gs:// or az://, a bucket and a key")
        if any(part in ("", ".", "..") for part in key.split("/")):
            raise SourceNotAllowed("objects whose key has an empty part, '.' or '..' between slashes are not read")
        if has_controls(key):
            raise SourceNotAllowed("objects whose key has control characters are not read")
        return cls(scheme, bucket, key)

    @property
    def store(self) -> str:
        """The bucket as messages name it."""
        return f"{self.scheme}://{self.bucket}"


def check_allowed(location: ObjectLocation, prefixes: Iterable[str]) -> None:
    """Raise `SourceNotAllowed` unless the object lies in one of the locations that the settings allow.

    A prefix ends where a part of the key ends: `s3://archive/cam` allows `cam/1.mp4` and not `camera/1.mp4`.
    """
    name = f"{location.store}/{location.key}"
    for prefix in prefixes:
        if name == prefix or name.startswith(prefix.rstrip("/") + "/"):
            return
    store = location.store
    raise SourceNotAllowed(f"this object of {store} may not be read; the operator allows places with {_SETTING}")
