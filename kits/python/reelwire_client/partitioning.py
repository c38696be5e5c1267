"""Which partition a key belongs to: murmur2 over its bytes, as Kafka's own clients have it.

A cancellation or a repeated id that another partitioner puts elsewhere does not find its job.
"""

from __future__ import annotations

_SEED = 0x9747B28C
_FACTOR = 0x5BD1E995
_BITS = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32 bits of MurmurHash2 with Kafka's seed, without a sign."""
    length = len(data)
    value = _SEED ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        part = int.from_bytes(data[start : start + 4], "little") * _FACTOR & _BITS
        part = (part ^ part >> 24) * _FACTOR & _BITS
        value = (value * _FACTOR & _BITS) ^ part
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _FACTOR & _BITS
    value = (value ^ value >> 13) * _FACTOR & _BITS
    return value ^ value >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key in a topic with this number of partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
