"""What was asked of the emulator: every POST in order, and counts, so that tests can prove what was done once."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from service.emulator.model.journal import Journal

Entry = dict[str, Any]

_CREATIONS = frozenset({"asset_create", "upload_create"})
"""Operations that make an asset."""


class Activity:
    """Entries are JSON objects that are completed while the request goes on; finished ones go to the journal."""

    def __init__(self, journal: Journal) -> None:
        self.posts: list[Entry] = []
        self.operations: dict[str, Counter[str]] = defaultdict(Counter)
        self.streams: Counter[str] = Counter(started=0, ended=0, cut=0, disconnected=0, fragments=0)
        self.bytes: Counter[str] = Counter(received=0, fetched=0)
        self._journal = journal
        self._creations: dict[str, Entry] = {}

    def begin(self, operation: str, time: str) -> Entry:
        """A new entry for a POST that has come in."""
        entry: Entry = {"seq": len(self.posts) + 1, "time": time, "operation": operation, "status": None}
        self.posts.append(entry)
        return entry

    def done(self, operation: str, outcome: int | str, entry: Entry | None) -> None:
        """Count an answer by its status, or `closed` for none."""
        self.operations[operation]["calls"] += 1
        self.operations[operation][str(outcome)] += 1
        if entry is not None:
            entry["operation"], entry["status"] = operation, outcome
            self._journal.write("post", entry=entry)

    def restore(self, entry: Entry) -> None:
        """Take over an entry of an earlier run."""
        entry["seq"] = len(self.posts) + 1
        self.posts.append(entry)
        self.created(entry)

    def created(self, entry: Entry) -> None:
        """Remember which entry has made an asset."""
        if entry.get("asset_id"):
            self._creations[entry["asset_id"]] = entry

    def identified(self, asset_id: str, sha256: str | None) -> None:
        """Add the content of an asset to its entry, once it is known."""
        if (entry := self._creations.get(asset_id)) is not None:
            entry["sha256"] = sha256

    def fetched(self, size: int) -> None:
        """Count the bytes of a video that was named by its URL."""
        self.bytes["fetched"] += size

    def as_json(self) -> dict[str, Any]:
        """All of it; ids are in the order of creation."""
        by_sha: dict[str, list[str]] = defaultdict(list)
        by_filename: dict[str, list[str]] = defaultdict(list)
        by_custom_id: dict[str, list[str]] = defaultdict(list)
        by_key: dict[str, list[str]] = defaultdict(list)
        replays: Counter[str] = Counter()
        for entry in self.posts:
            asset, task = entry.get("asset_id"), entry.get("task_id")
            if entry.get("replayed"):
                replays[entry["idempotency_key"]] += 1
            elif entry["operation"] in _CREATIONS and asset:
                by_filename[entry.get("filename") or ""].append(asset)
                if entry.get("sha256"):
                    by_sha[entry["sha256"]].append(asset)
            elif entry["operation"] == "task_create" and task:
                by_custom_id[entry.get("custom_id") or ""].append(task)
                if entry.get("idempotency_key"):
                    by_key[entry["idempotency_key"]].append(task)
            elif entry["operation"] == "batch_create":
                for item in entry.get("items", ()):
                    by_custom_id[item["custom_id"] or ""].append(item["task_id"])
        return {
            "operations": {name: dict(counts) for name, counts in self.operations.items()},
            "assets": {"by_sha256": by_sha, "by_filename": by_filename},
            "tasks": {"by_custom_id": by_custom_id, "by_idempotency_key": by_key, "replays": replays},
            "streams": dict(self.streams),
            "bytes": dict(self.bytes),
            "posts": self.posts,
        }
