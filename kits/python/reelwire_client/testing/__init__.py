"""For tests of programs that use this package: requests played in memory, without Kafka.

`Play` makes the records of one request; `FakeReelwire` answers what a `Client` submits.
"""

from reelwire_client.testing.fake import FakeReelwire, Script, SentRequest
from reelwire_client.testing.play import Play

__all__ = ["FakeReelwire", "Play", "Script", "SentRequest"]
