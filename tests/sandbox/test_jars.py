from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from service.sandbox.broker.jars import ROOTS, Jar, class_path, read_list
from service.sandbox.errors import JarError

pytestmark = pytest.mark.unit

GOOD = b"the jar we know"
BAD = b"something else"
SHA256 = hashlib.sha256(GOOD).hexdigest()


def jar(artifact: str) -> Jar:
    return Jar("org.example", artifact, "1.0", SHA256)


class Shelf:
    """A cache in a folder, filled from what `deliver` returns."""

    def __init__(self, root: Path, deliver: Callable[[], bytes]) -> None:
        self.root = root
        self.deliver = deliver
        self.fetched: list[str] = []

    def path(self, jar: Jar) -> Path:
        return self.root / f"{jar.artifact}.jar"

    def fetch(self, jar: Jar) -> None:
        self.fetched.append(jar.artifact)
        assert not self.path(jar).exists(), "the resolver takes what is there for right"
        self.path(jar).write_bytes(self.deliver())


def test_missing_jars_are_fetched_and_the_progress_told(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "cache", lambda: GOOD)
    told: list[str] = []
    paths = class_path(told.append, jars=[jar("a"), jar("b")], source=shelf)
    assert paths == (shelf.path(jar("a")), shelf.path(jar("b")))
    assert [message.split(":")[1] for message in told] == [" 1 of 2 jars (a)", " 2 of 2 jars (b)"]


def test_with_a_warm_cache_nothing_is_fetched_and_nothing_told(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, lambda: BAD)
    shelf.path(jar("a")).write_bytes(GOOD)
    told: list[str] = []
    assert class_path(told.append, jars=[jar("a")], source=shelf) == (shelf.path(jar("a")),)
    assert (shelf.fetched, told) == ([], [])


def test_a_corrupted_jar_is_deleted_and_fetched_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, lambda: GOOD)
    shelf.path(jar("a")).write_bytes(BAD)
    shelf.path(jar("b")).write_bytes(GOOD)
    class_path(jars=[jar("a"), jar("b")], source=shelf)
    assert shelf.fetched == ["a"]
    assert shelf.path(jar("a")).read_bytes() == GOOD


def test_a_download_that_is_wrong_once_is_repeated(tmp_path: Path) -> None:
    deliveries = iter([BAD, GOOD])
    shelf = Shelf(tmp_path, lambda: next(deliveries))
    class_path(jars=[jar("a")], source=shelf)
    assert shelf.path(jar("a")).read_bytes() == GOOD


def test_a_jar_that_stays_wrong_is_named_and_never_put_on_a_class_path(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, lambda: BAD)
    with pytest.raises(JarError, match=r"org\.example:a:1\.0 was fetched twice, and its SHA-256 is not the one"):
        class_path(jars=[jar("a")], source=shelf)
    assert shelf.fetched == ["a", "a"]
    assert not shelf.path(jar("a")).exists()


def test_a_jar_that_cannot_be_fetched_is_named_with_the_reason(tmp_path: Path) -> None:
    def unreachable() -> bytes:
        raise OSError("network is unreachable")

    shelf = Shelf(tmp_path, unreachable)
    with pytest.raises(
        JarError, match=r"org\.example:a:1\.0 is not in .* could not be fetched: network is unreachable"
    ):
        class_path(jars=[jar("a")], source=shelf)


def test_the_committed_list_has_a_hash_for_every_jar_and_what_we_start_from() -> None:
    listed = read_list()
    coordinates = [jar.coordinate for jar in listed]
    assert set(ROOTS) <= set(coordinates)
    assert len(set(coordinates)) == len(coordinates)
    assert all(len(jar.sha256) == 64 and int(jar.sha256, 16) for jar in listed)


def test_the_log_binding_fits_the_logging_interface_that_kafka_brings() -> None:
    versions = {jar.artifact: jar.version for jar in read_list()}
    assert versions["slf4j-simple"] == versions["slf4j-api"]
