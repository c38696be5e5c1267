"""Asks a service for its health again and again, and looks at its memory: `python -m tests.fuzz.probe PORT PID FILE`.

A process of its own, so that the load of the run's other parts does not count as the service's. Each line of the file:
seconds since the epoch, latency in ms (-1: no answer), resident bytes, and how late this process itself woke up in ms.
Ends when its standard input is closed.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

_INTERVAL_SECONDS = 0.02
_ANSWER_SECONDS = 10.0


def _ask(connection: http.client.HTTPConnection) -> bool:
    for _ in range(2):  # the second time on a new connection, as the server may just have closed the old one
        try:
            connection.request("GET", "/health/live")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
        else:
            return answer.status == 200
    return False


def main(port: int, pid: int, file: Path) -> None:
    """Probe until standard input is closed or the process is gone."""
    closed = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        closed.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    process = psutil.Process(pid)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    due = time.monotonic()
    with file.open("a", buffering=1) as lines, suppress(psutil.NoSuchProcess):
        while not closed.wait(max(0.0, due - time.monotonic())):
            began = time.monotonic()
            late = began - due
            latency = time.monotonic() - began if _ask(connection) else None
            shown = -1.0 if latency is None else 1000 * latency
            lines.write(f"{time.time():.3f} {shown:.2f} {process.memory_info().rss} {1000 * late:.2f}\n")
            due = max(due + _INTERVAL_SECONDS, time.monotonic())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
