"""Encoding of what a producer sends, without a copy of the records for every level of the request.

aiokafka joins the bytes of a request at each level of its schema: field, partition, topic, request. That is some copies
of up to some megabytes in a row, which hold the event loop for longer than all else that is done with a record.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Array, Bytes, Int32, Schema


def encode_in_one_piece(client: Any) -> None:
    """Make a client of aiokafka encode its produce requests by `encoded`. Called once, before anything is sent."""
    send = client.send

    async def send_in_one_piece(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, ProduceRequest):
            request.prepare = partial(_prepared, request)
        return await send(node, request, **options)

    client.send = send_in_one_piece


def encoded(struct: Any) -> bytes:
    """The bytes of a request, the same as those of its own `encode`."""
    parts: list[bytes] = []
    _collect(struct.SCHEMA, [getattr(struct, name) for name in struct.SCHEMA.names], parts)
    return b"".join(parts)


def _prepared(request: ProduceRequest, versions: dict[int, tuple[int, int]]) -> Any:
    struct: Any = ProduceRequest.prepare(request, versions)
    struct.encode = partial(encoded, struct)
    return struct


def _collect(kind: Any, value: Any, parts: list[bytes]) -> None:
    if type(kind) is Schema:
        for field, item in zip(kind.fields, value, strict=True):
            _collect(field, item, parts)
    elif type(kind) is Array and value is not None:
        parts.append(Int32.encode(len(value)))
        for item in value:
            _collect(kind.array_of, item, parts)
    elif kind is Bytes and value is not None:
        parts += (Int32.encode(len(value)), value)
    else:
        parts.append(kind.encode(value))
