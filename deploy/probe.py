"""Exit 0 when `GET http://127.0.0.1:PORT/PATH` answers 200: the image's health check, `probe.py PORT PATH`.

It runs every few seconds for as long as the container does, so it imports next to nothing: an HTTP client takes
several times as long to load as this takes in all.
"""

import socket
import sys

TIMEOUT_SECONDS = 5


def answers(port: int, path: str) -> bool:
    """Whether the status line says 200; `OSError` when nobody listens or nothing comes in time."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]


if __name__ == "__main__":
    try:
        healthy = answers(int(sys.argv[1]), sys.argv[2])
    except OSError as error:
        sys.exit(str(error))
    sys.exit(0 if healthy else "the answer is not 200")
