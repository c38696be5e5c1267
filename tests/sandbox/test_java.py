from __future__ import annotations

from pathlib import Path

import pytest

from service.sandbox.broker.java import Java

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "reelwire"


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    path = tmp_path / "a.jar"
    path.write_bytes(b"")
    return path


def recorded(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "recorded.aot"
    path.write_bytes(content)
    return path


def test_the_first_start_records_a_cache_and_later_ones_use_it(tmp_path: Path, folder: Path, jar: Path) -> None:
    first = Java([jar])
    assert not first.has_cache
    assert f"-XX:AOTCacheOutput={tmp_path / 'new.aot'}" in first.command("Main", record_to=tmp_path / "new.aot")
    first.keep(recorded(tmp_path, b"cache"))
    (cache,) = folder.iterdir()
    assert f"-XX:AOTCache={cache}" in Java([jar]).command("Main")


def test_a_cache_is_not_used_for_another_class_path(tmp_path: Path, jar: Path) -> None:
    Java([jar]).keep(recorded(tmp_path, b"cache"))
    other = tmp_path / "b.jar"
    other.write_bytes(b"")
    assert not Java([jar, other]).has_cache


def test_a_damaged_cache_is_removed_because_a_jvm_would_crash_on_it(tmp_path: Path, folder: Path, jar: Path) -> None:
    Java([jar]).keep(recorded(tmp_path, b"cache"))
    (cache,) = folder.iterdir()
    cache.write_bytes(b"damaged")
    assert not Java([jar]).has_cache
    assert list(folder.iterdir()) == []


def test_of_two_caches_recorded_at_once_the_last_is_kept(tmp_path: Path, folder: Path, jar: Path) -> None:
    one, two = Java([jar]), Java([jar])
    one.keep(recorded(tmp_path, b"one"))
    two.keep(recorded(tmp_path, b"two"))
    (cache,) = folder.iterdir()
    assert cache.read_bytes() == b"two"


def test_memory_is_bounded(jar: Path) -> None:
    assert {"-Xmx512m", "-XX:+UseSerialGC"} <= set(Java([jar]).command("Main"))
