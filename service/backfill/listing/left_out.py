"""What a listing has left out, and why: a command that sends nothing can say what it has seen instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from service.footage.names import escaped

Reason = Literal["ending", "glob", "exclude", "empty", "size", "time", "hidden", "name"]
"""`ending`: no glob was given, and the name does not end as a video's does. `hidden`: the name of a file or folder that
begins with a dot. `name`: one that no request can hold."""


@dataclass(slots=True)
class LeftOut:
    """Of one listing; what is in a folder that was left out was not looked at, and the folder counts as one."""

    seen: int = 0
    """Objects, files, and folders that were left out; wanted ones too."""
    by_reason: dict[Reason, int] = field(default_factory=dict)
    first_name: str | None = None
    """The first that was left out for its name, with escapes for what can't be printed."""

    def add(self, reason: Reason) -> None:
        """One object, file or folder was left out. What an archive passes over by itself nobody else has seen."""
        if reason in ("hidden", "name"):
            self.seen += 1
        self.by_reason[reason] = self.by_reason.get(reason, 0) + 1

    def add_name(self, path: str) -> None:
        """A file or folder was left out because no request can hold its name."""
        self.add("name")
        if self.first_name is None:
            self.first_name = escaped(path)
