"""What a viewer has missed of one request, out of what the console holds. Pure."""

from __future__ import annotations

from service.console.live.messages import Message, completion, fragment, progress, restart
from service.console.model.cursor import Cursor, cursor_of
from service.console.model.entry import Entry


def replay(entry: Entry, since: Cursor | None) -> list[Message] | None:
    """The events behind `since`, of which None is the beginning. None when some of them are no longer held.

    Text is given in one piece however many fragments it was.
    """
    if since is None:
        since = Cursor(entry.run)
    if since.run > entry.run:
        return None  # of a run that this console has not read yet, or never will
    if since.run == entry.run and entry.steps and since.steps > entry.steps_end:
        return None  # of another topic of this name: its offsets say nothing here
    now = cursor_of(entry)
    found: list[Message] = []
    if since.run < entry.run:
        since = Cursor(entry.run)
        found.append(restart(since._replace(attempt=entry.attempt), entry.attempt))
    at = since
    for step in entry.steps:
        if step.offset >= since.steps:
            at = at._replace(steps=step.offset + 1)
            found.append(progress(at, step))
    if entry.end is not None:
        return found if since.ended else [*found, completion(entry)]
    text = entry.text
    if since.attempt > text.attempt or (since.attempt == text.attempt and since.fragments > text.fragments):
        return None if text.attempt else found
    if since.attempt < text.attempt and since.attempt:
        at = at._replace(attempt=text.attempt, fragments=0)
        found.append(restart(at, text.attempt))
    told = since.fragments if since.attempt == text.attempt else 0
    if text.lost:
        return found  # the viewer has none of it; the next attempt or the completion brings all
    if told < text.fragments:
        rest = text.since(told)
        found.append(fragment(now, text.attempt, text.fragments - 1, rest, entry.updated_ms))
    return found
