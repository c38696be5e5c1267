"""Reading the body of a webhook: raw, since the signature is over its bytes, and bounded."""

from __future__ import annotations

from aiohttp import web

from service.ops.webhooks.signature import WebhookRefused


async def read_body(request: web.Request, most_bytes: int) -> bytes:
    """The raw body, bounded while it is read. Raises `WebhookRefused` (413) for a larger one."""
    parts: list[bytes] = []
    size = 0
    while part := await request.content.readany():
        size += len(part)
        if size > most_bytes:
            raise WebhookRefused(413, "too_large", f"the body is larger than {most_bytes} bytes")
        parts.append(part)
    return b"".join(parts)
