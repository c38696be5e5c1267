"""An authorization server of a test: tokens by the client credentials grant, signed, good for some seconds."""

from __future__ import annotations

import base64
import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT, SECRET = "reelwire", "an oauth: secret/with%signs"
USER = "tokens"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class TokenServer:
    """Runs in threads of its own, so that it belongs to no event loop."""

    def __init__(self, keys_file: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._key.public_key().public_numbers()
        modulus = numbers.n.to_bytes(256, "big")
        key = {"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": _text(modulus), "e": _text(b"\x01\x00\x01")}
        keys_file.write_text(json.dumps({"keys": [key]}))
        self.seconds = 60.0
        self.secret = SECRET
        self.forged = False
        self.given: list[float] = []
        self.forms: list[dict[str, list[str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/token"

    def token(self, seconds: float) -> str:
        """A signed token of `USER`."""
        now = int(time.time())
        head = {"alg": "RS256", "kid": "k", "typ": "JWT"}
        ends = math.ceil(time.time() + seconds)
        body = {"iss": "tests", "aud": "kafka", "sub": USER, "iat": now, "exp": ends, "scope": ["kafka"]}
        signed = ".".join(_text(json.dumps(part).encode()) for part in (head, body))
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_text(signature[::-1] if self.forged else signature)}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
                name, _, secret = login.partition(":")
                owner.forms.append(form)
                if (unquote_plus(name), unquote_plus(secret)) != (CLIENT, owner.secret):
                    self._answer(401, {"error": "invalid_client", "error_description": "no such client"})
                    return
                owner.given.append(time.monotonic())
                self._answer(200, {"access_token": owner.token(owner.seconds), "expires_in": owner.seconds})

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
