"""The bodies of event streams: what is replayed, what comes live, and when a stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from service.console.live.hub import Hub
from service.console.live.messages import GAP, HEARTBEAT, WAITING, Message, joined
from service.console.live.replay import replay
from service.console.live.viewer import Viewer
from service.console.model.cursor import Cursor

HEARTBEAT_SECONDS = 15.0
"""When no event was sent for this long, a comment is, so that nobody on the way takes the connection for dead."""
_PAUSE_SECONDS = 0.05
"""The least time between two writes to one viewer: what comes meanwhile is sent together."""


async def list_stream(hub: Hub) -> AsyncGenerator[bytes]:
    """The body of `GET /api/live`. A viewer that is too slow is told `gap`, and goes on."""
    viewer = hub.watch_list()
    try:
        yield hub.first().data
        while not viewer.closed:
            messages = await viewer.take(HEARTBEAT_SECONDS)
            if viewer.behind:
                viewer.caught_up()
                yield GAP.data
            elif messages:
                for part in joined(messages):
                    yield part
            elif not viewer.closed:
                yield HEARTBEAT
    finally:
        hub.forget(viewer)


async def request_stream(
    hub: Hub,
    request_id: str,
    since: Cursor | None,
    *,
    may_see: Callable[[], bool] = lambda: True,
    until: float | None = None,
) -> AsyncGenerator[bytes]:
    """The body of the events of one request, behind the cursor `since`. Ends with the completion, or with `gap`.
    Begins with `waiting` when nothing is known of the request.

    `until`: the time of the loop at which the right to see it ends. `may_see` is asked when there is more to send: the
    request may become known only then.
    """
    loop = asyncio.get_running_loop()
    viewer = hub.watch(request_id)
    viewer.sent = since
    try:
        viewer.behind = True  # of all that was before
        if hub.board.find(request_id) is None:
            yield WAITING.data
        while not viewer.closed:
            wait = HEARTBEAT_SECONDS if until is None else min(HEARTBEAT_SECONDS, until - loop.time())
            if wait <= 0:
                return
            messages = await viewer.take(wait)
            if viewer.lost:
                yield GAP.data
                return
            if viewer.behind:
                caught = _caught_up(hub, viewer, request_id)
                if caught is None:
                    yield GAP.data
                    return
                messages = caught
            if messages and not may_see():
                return
            if messages:
                for part in joined(messages):
                    yield part
                viewer.sent = messages[-1].cursor or viewer.sent
                if messages[-1].last:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)
            elif not viewer.closed:
                yield HEARTBEAT
    finally:
        hub.forget(viewer, request_id)


def _caught_up(hub: Hub, viewer: Viewer, request_id: str) -> list[Message] | None:
    """What a viewer that is behind has missed. Nothing is published between this and its return."""
    viewer.caught_up()
    entry = hub.board.find(request_id)
    if entry is None:
        return []
    found = replay(entry, viewer.sent)
    if found is not None and not found and entry.end is not None:
        return [Message(HEARTBEAT, None, last=True)]  # it has everything already
    return found
