"""What was asked of the emulator: every POST in order, and counts, so that tests can prove what was done once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

Entry = dict[str, Any]


class Activity:
    """Entries are JSON objects that are completed while the request goes on; `on_done` is told of the finished ones."""

    def __init__(self) -> None:
        self.posts: list[Entry] = []
        self.operations: dict[str, Counter[str]] = defaultdict(Counter)
        self.streams: Counter[str] = Counter(started=0, ended=0, cut=0, disconnected=0, fragments=0)
        self.bytes: Counter[str] = Counter(received=0, fetched=0)
        self.on_done: Callable[[Entry], None] = lambda entry: None

    def begin(self, operation: str, time: str) -> Entry:
        entry: Entry = {"seq": len(self.posts) + 1, "time": time, "operation": operation, "status": None}
        self.posts.append(entry)
        return entry

    def done(self, operation: str, outcome: int | str, entry: Entry | None) -> None:
        """Count an answer by its status, or `closed` for none."""
        self.operations[operation]["calls"] += 1
        self.operations[operation][str(outcome)] += 1
        if entry is not None:
            entry["operation"], entry["status"] = operation, outcome
            self.on_done(entry)

    def restore(self, entry: Entry) -> None:
        """Take over an entry of an earlier run."""
        entry["seq"] = len(self.posts) + 1
        self.posts.append(entry)

    def fetched(self, size: int) -> None:
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
            elif entry["operation"] == "asset_create" and asset:
                by_filename[entry.get("filename") or ""].append(asset)
                if entry.get("sha256"):
                    by_sha[entry["sha256"]].append(asset)
            elif entry["operation"] == "task_create" and task:
                by_custom_id[entry.get("custom_id") or ""].append(task)
                if entry.get("idempotency_key"):
                    by_key[entry["idempotency_key"]].append(task)
        return {
            "operations": {name: dict(counts) for name, counts in self.operations.items()},
            "assets": {"by_sha256": by_sha, "by_filename": by_filename},
            "tasks": {"by_custom_id": by_custom_id, "by_idempotency_key": by_key, "replays": replays},
            "streams": dict(self.streams),
            "bytes": dict(self.bytes),
            "posts": self.posts,
        }
