"""The jars of Apache Kafka: fetched once into the user's Maven cache, and checked before every use.

`jars.sha256`, beside this file, is the whole class path: a hash and a coordinate a line. With every jar in the
cache nothing is resolved and no network is used. `python -m service.sandbox.broker.jars` writes the list anew after a
change of version; review its difference like code.
"""

from __future__ import annotations

import fcntl
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.sandbox.broker.node import VERSION
from service.sandbox.errors import JarError

Progress = Callable[[str], None]

LIST = Path(__file__).with_name("jars.sha256")
# The second one writes Kafka's log; its version must fit the slf4j-api that Kafka depends on.
ROOTS = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")
_DOWNLOADS_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar that we run, by its Maven coordinate and the hash of the only content we accept."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


class JarSource(Protocol):
    """Where jars come from."""

    @property
    def root(self) -> Path:
        """The cache's folder; it may not exist yet."""
        ...

    def path(self, jar: Jar) -> Path:
        """Where `jar` is in the cache, whether or not it is there."""
        ...

    def fetch(self, jar: Jar) -> None:
        """Download `jar` to its path if it is not there. Blocks on the network; may raise any exception."""
        ...


class MavenSource:
    """The user's Maven cache, filled by `jgo`, which needs no Maven; honours its settings and `M2_REPO`."""

    def __init__(self) -> None:
        try:
            import jgo
        except ImportError:
            raise JarError("the local broker needs the sandbox extra: pip install 'reelwire[sandbox]'") from None
        settings = jgo.GlobalSettings.load()
        self._maven = jgo.MavenContext(
            repo_cache=settings.repo_cache,
            remote_repos={**settings.repositories, "central": jgo.MAVEN_CENTRAL_URL},
            timeout=30,
        )

    @property
    def root(self) -> Path:
        return Path(self._maven.repo_cache)

    def path(self, jar: Jar) -> Path:
        return self.root.joinpath(*jar.group.split("."), jar.artifact, jar.version, f"{jar.artifact}-{jar.version}.jar")

    def fetch(self, jar: Jar) -> None:
        self._maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()


def read_list(text: str | None = None) -> tuple[Jar, ...]:
    """The jars of the class path, in its order."""
    jars = []
    for line in (LIST.read_text(encoding="utf-8") if text is None else text).splitlines():
        sha256, coordinate = line.split()
        group, artifact, version = coordinate.split(":")
        jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


def kafka_version(jars: Iterable[Jar]) -> str:
    """The version of Apache Kafka on this class path."""
    return next(jar.version for jar in jars if jar.artifact.startswith("kafka_"))


def class_path(
    progress: Progress | None = None, *, jars: Iterable[Jar] | None = None, source: JarSource | None = None
) -> tuple[Path, ...]:
    """The files of `jars` (default: the committed list), every one just checked; blocks on disk and perhaps network.

    What is missing is fetched; what has another hash is deleted and fetched once more. Raises `JarError` naming
    the jar that can't be had or stays wrong.
    """
    wanted = read_list() if jars is None else tuple(jars)
    source = source or MavenSource()
    pool = ThreadPoolExecutor(_DOWNLOADS_AT_ONCE)
    try:
        lacking = _lacking(wanted, source, pool)
        if lacking:
            with _one_process(source.root):
                lacking = _lacking(lacking, source, pool)
                for done, jar in enumerate(pool.map(lambda jar: _fetch_checked(jar, source), lacking), 1):
                    if progress is not None:
                        progress(f"fetching Apache Kafka: {done} of {len(lacking)} jars ({jar.artifact})")
    finally:
        pool.shutdown(cancel_futures=True)
    return tuple(source.path(jar) for jar in wanted)


def _lacking(jars: Iterable[Jar], source: JarSource, pool: ThreadPoolExecutor) -> list[Jar]:
    wanted = list(jars)
    return [
        jar
        for jar, right in zip(wanted, pool.map(lambda jar: _is_right(jar, source), wanted), strict=True)
        if not right
    ]


def _is_right(jar: Jar, source: JarSource) -> bool:
    try:
        with source.path(jar).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _fetch_checked(jar: Jar, source: JarSource) -> Jar:
    path = source.path(jar)
    cause: Exception | None = None
    for _ in range(2):
        path.unlink(missing_ok=True)
        try:
            source.fetch(jar)
        except Exception as error:  # noqa: BLE001 - the resolver and its network may raise anything
            cause = error
            continue
        if _is_right(jar, source):
            return jar
        cause = None
    path.unlink(missing_ok=True)
    if cause is None:
        raise JarError(f"{jar.coordinate} was fetched twice, and its SHA-256 is not the one we know; it is not used")
    raise JarError(f"{jar.coordinate} is not in {source.root} and could not be fetched: {cause}") from cause


@contextmanager
def _one_process(root: Path) -> Iterator[None]:
    # Two brokers that start at once must not download to the same file.
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".reelwire.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Resolve the roots anew and write the committed list."""
    import jgo

    lines = []
    for artifact in jgo.resolve("+".join(ROOTS)):
        digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        lines.append((f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}", digest))
    LIST.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(lines)), encoding="utf-8")
    sys.stdout.write(f"{len(lines)} jars written to {LIST}\n")


if __name__ == "__main__":
    main()
