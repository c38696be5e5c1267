"""The parts of one console, as the routes see them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from service.console.feed.surroundings import Surroundings
from service.console.http.sessions import Sessions, Tries
from service.console.live.hub import Hub
from service.console.model.letters import LetterBook
from service.ops.health import Health
from service.settings import Settings


@dataclass(slots=True)
class ConsoleState:
    """Filled by the feed, read by the routes. Found at `request.app.state.console`."""

    settings: Settings
    hub: Hub
    letters: LetterBook
    surroundings: Surroundings
    health: Health
    token: str | None
    stream_secret: str | None
    sessions: Sessions = field(default_factory=Sessions)
    tries: Tries = field(default_factory=Tries)
    acting: asyncio.Lock = field(default_factory=asyncio.Lock)
    looking_up: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    """Records that are read from the topics at once, each with a connection of its own."""
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    """Completions that are large, or read from the topic again, until they were sent."""


def new_state(settings: Settings) -> ConsoleState:
    """The parts, nothing of which runs yet."""
    console = settings.console
    health = Health()
    surroundings = Surroundings(settings, health.set)
    return ConsoleState(
        settings=settings,
        hub=Hub(
            surroundings.process_of,
            max_viewers=console.max_viewers,
            max_ended=console.ended_requests,
            max_bytes=console.text_mib * 1024 * 1024,
        ),
        letters=LetterBook(settings.topics.dead_letters),
        surroundings=surroundings,
        health=health,
        token=console.sign_in_token(),
        stream_secret=console.signing_secret(),
    )
