"""A token for one request, as your own server would sign it: `python examples/browser/sign_token.py cam7-918273`.

Any library for JSON Web Tokens does it: HS256 with REELWIRE_CONSOLE__STREAM_SECRET, the claim `exp`, and either `req`,
one request, or `tenant`, all requests of a tenant. Sign only for who may see it: your server knows who that is.
"""

from __future__ import annotations

import os
import sys
import time

import jwt

MINUTES = 15


def sign(secret: str, request_id: str) -> str:
    """A token that is valid for a quarter of an hour."""
    return jwt.encode({"req": request_id, "exp": int(time.time()) + MINUTES * 60}, secret, algorithm="HS256")


if __name__ == "__main__":
    print(sign(os.environ["REELWIRE_CONSOLE__STREAM_SECRET"], sys.argv[1]))
