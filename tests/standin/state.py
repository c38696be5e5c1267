"""What the stand-in remembers: assets, upload sessions and tasks. It looks into no video."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import time
from dataclasses import dataclass, field
from typing import Any

from tests.standin.rules import Violated
from tests.standin.schema_rules import instance

DURATION = 60.0
ASSET_SECONDS = 0.2
ENDED = {"ready", "failed", "canceled"}
Body = dict[str, Any]


def moment(seconds: float) -> str:
    """RFC 3339, in milliseconds."""
    whole, part = divmod(seconds, 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int(part * 1000):03d}Z"


@dataclass
class Asset:
    id: str
    method: str
    filename: str
    kind: str
    size: int
    made: float
    metadata: Body
    complete: bool = True
    """False while chunks are missing."""

    def status(self) -> str:
        return "ready" if self.complete and time.time() >= self.made + ASSET_SECONDS else "processing"

    def shown(self) -> Body:
        found: Body = {
            "_id": self.id,
            "method": self.method,
            "status": self.status(),
            "filename": self.filename,
            "file_type": "video/mp4" if self.kind == "video" else "image/png",
            "created_at": moment(self.made),
        }
        if self.metadata:
            found["user_metadata"] = self.metadata
        if found["status"] == "ready":
            found |= {"size": self.size, "technical_metadata": {"file_size_bytes": self.size}}
            if self.kind == "video":
                found["duration"] = DURATION
        return found


@dataclass
class Session:
    id: str
    asset: Asset
    total: int
    chunk: int
    made: float
    urls: dict[str, int] = field(default_factory=dict)
    """Nonce to chunk; one that was used is gone."""
    etags: dict[int, str] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)

    @property
    def count(self) -> int:
        return math.ceil(self.total / self.chunk)

    def size_of(self, index: int) -> int:
        return min(self.chunk, self.total - (index - 1) * self.chunk)

    @property
    def status(self) -> str:
        return "completed" if len(self.reported) == self.count else "active"


@dataclass
class Task:
    id: str
    body: Body
    made: float
    seconds: tuple[float, float]
    """It is queued for the first, and processing until the second."""
    canceled: float | None = None
    batch_id: str | None = None

    def status(self) -> str:
        if self.canceled is not None:
            return "canceled"
        age = time.time() - self.made
        queued, processing = self.seconds
        return "queued" if age < queued else "processing" if age < processing else "ready"

    def shown(self, *, row: bool = False) -> Body:
        status = self.status()
        parameters = {
            name: value for name, value in self.body.items() if name not in {"model_name", "video", "custom_id"}
        }
        if row and "prompt" in parameters:
            parameters["prompt"] = parameters["prompt"][:30]
        found: Body = {
            "task_id": self.id,
            "custom_id": self.body.get("custom_id"),
            "status": status,
            "created_at": moment(self.made),
            "request_params": {"analysis_mode": "general"} | parameters,
        }
        if "video" in self.body:
            found["video_source"] = {
                name: value for name, value in self.body["video"].items() if name != "base64_string"
            }
        if self.batch_id is not None:
            found["batch_id"] = self.batch_id
        if status in ENDED:
            found["completed_at"] = moment(self.canceled or self.made + self.seconds[1])
        if status == "canceled":
            found["error"] = {"code": "user_canceled", "message": "canceled on request"}
        if status == "ready":
            answer = {"data": text_of(self.body), "finish_reason": "stop"}
            found["result"] = {"generation_id": f"gen_{self.id}", "usage": {"output_tokens": 7}} | answer
        return found


def text_of(body: Body) -> str:
    """The text of an analysis, in the form that was asked for."""
    wanted = body.get("response_format")
    if wanted is None:
        return "A truck arrives. Two people unload it."
    if wanted["type"] == "json_schema":
        return json.dumps(instance(wanted["json_schema"], wanted["json_schema"]))
    clock = wanted.get("segment_time_format", "seconds")
    times: tuple[Any, Any] = {
        "seconds": (1.0, 3.5),
        "hh:mm:ss": ("00:00:01", "00:00:03"),
        "hh:mm:ss.fff": ("00:00:01.000", "00:00:03.500"),
    }[clock]
    segment = {"start_time": times[0], "end_time": times[1]}
    found = {}
    for one in wanted["segment_definitions"]:
        values = {part["name"]: _field_value(part, segment) for part in one.get("fields", [])}
        found[one["id"]] = [segment | {"metadata": values}]
    return json.dumps(found)


def _field_value(part: Body, segment: Body) -> Any:
    if "enum" in part:
        return part["enum"][0]
    match part["type"]:
        case "timestamp":
            return {"seconds": 1.0, "hh:mm:ss": "00:00:01", "hh:mm:ss.fff": "00:00:01.000"}[part["format"]]
        case "time_array":
            return [segment | {inner["name"]: _field_value(inner, segment) for inner in part["items"]["fields"]}]
        case kind:
            return {"string": "text", "boolean": True, "number": 1.5, "integer": 2, "array": []}[kind]


class State:
    """Everything by its id. Ids are handed out in order and never guessed: an unknown one is a client's fault."""

    def __init__(self) -> None:
        self.assets: dict[str, Asset] = {}
        self.sessions: dict[str, Session] = {}
        self.tasks: dict[str, Task] = {}
        self.keys: dict[str, tuple[str, Body]] = {}
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        return hashlib.md5(str(next(self._numbers)).encode()).hexdigest()[:24]

    def asset(self, asset_id: str) -> Asset:
        if asset_id not in self.assets:
            raise Violated(f"asset {asset_id} was never created here", 404, "resource_not_exist")
        return self.assets[asset_id]

    def ready_asset(self, asset_id: str) -> Asset:
        found = self.asset(asset_id)
        if found.status() != "ready":
            raise Violated(f"asset {asset_id} is used before it is ready")
        return found

    def session(self, upload_id: str) -> Session:
        if upload_id not in self.sessions:
            raise Violated(f"upload {upload_id} was never created here", 404, "resource_not_exist")
        return self.sessions[upload_id]

    def task(self, task_id: str) -> Task:
        if task_id not in self.tasks:
            raise Violated(f"task {task_id} was never created here", 404, "resource_not_exist")
        return self.tasks[task_id]
