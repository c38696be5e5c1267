"""What is done about one dead letter: it is sent again, or noted as discarded. Each is one write."""

from __future__ import annotations

import time

from aiokafka import AIOKafkaProducer

from contracts.deadletters import DeadLetterInfo, discard_headers, letter_place
from service.cli.reading.cluster import send
from service.cli.reading.dead_letter import DeadLetter
from service.settings import Settings


async def send_again(
    settings: Settings, client: AIOKafkaProducer, letter: DeadLetter, info: DeadLetterInfo, partitions: int
) -> tuple[int, int]:
    """Send its record to the requests topic, which has `partitions` of them. Returns partition and offset of it there.

    `info` is the letter's: one without can't be sent again. That it was sent is remembered by the record itself.
    """
    return await send(
        settings,
        client,
        settings.topics.requests,
        key=letter.key,
        value=letter.value,
        headers=info.redrive_headers(letter_place(settings.topics.dead_letters, letter.partition, letter.offset)),
        # A request id is known in its partition only, and another partitioner may have chosen that one.
        partition=info.partition % partitions,
    )


async def note_discarded(settings: Settings, client: AIOKafkaProducer, letter: DeadLetter, reason: str | None) -> None:
    """Write a note that the letter needs nothing more, into the dead-letter topic behind it.

    Its headers say what it is. aiokafka sends no record with neither key nor value: without a key
    its value is empty.
    """
    topic = settings.topics.dead_letters
    headers = discard_headers(letter_place(topic, letter.partition, letter.offset), at=time.time(), reason=reason)
    value = b"" if letter.key is None else None
    await send(settings, client, topic, key=letter.key, value=value, headers=headers, partition=letter.partition)
