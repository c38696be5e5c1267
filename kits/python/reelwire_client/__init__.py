"""Follow and submit video analyses of Reelwire.

`Client` over `over_aiokafka` or `over_confluent` for programs; `Assembler` alone for those who read by themselves;
`testing` plays requests in memory.
"""

from reelwire_client.assembler import Assembler
from reelwire_client.changes import (
    Change,
    Ended,
    Forgotten,
    Ignored,
    Progressed,
    Refused,
    Repeated,
    Restarted,
    Skipped,
    StreamId,
    TextAdded,
)
from reelwire_client.client import Client
from reelwire_client.errors import (
    AlreadyEnded,
    NoPartitions,
    ReadingStopped,
    ReelwireError,
    RequestCanceled,
    RequestFailed,
    RequestRefused,
    StreamForgotten,
    TooManyStreams,
)
from reelwire_client.partitioning import murmur2, partition_of
from reelwire_client.ports import Batch, RecordReader, RequestSender
from reelwire_client.records import DeadLetter, Place, Record
from reelwire_client.stream import RequestStream, Restart, Text

__version__ = "0.1.0"

__all__ = [
    "AlreadyEnded",
    "Assembler",
    "Batch",
    "Change",
    "Client",
    "DeadLetter",
    "Ended",
    "Forgotten",
    "Ignored",
    "NoPartitions",
    "Place",
    "Progressed",
    "ReadingStopped",
    "Record",
    "RecordReader",
    "ReelwireError",
    "Refused",
    "Repeated",
    "RequestCanceled",
    "RequestFailed",
    "RequestRefused",
    "RequestSender",
    "RequestStream",
    "Restart",
    "Restarted",
    "Skipped",
    "StreamForgotten",
    "StreamId",
    "Text",
    "TextAdded",
    "TooManyStreams",
    "__version__",
    "murmur2",
    "partition_of",
]
