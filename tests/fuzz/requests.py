"""Valid requests of every kind, as a fuzz run sends them: the ground that mutations start from."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]
_WORDS = (
    "car",
    "gate",
    "rain",
    "night",
    "crowd",
    "truck",
    "dog",
    "window",
    "fence",
    "light",
    "bicycle",
    "smoke",
    "door",
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Videos that exist: paths below an allowed root, addresses that are served, bytes."""

    paths: tuple[str, ...]
    urls: tuple[str, ...]
    contents: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Valid:
    """A request and how it may end."""

    body: Body
    ends: frozenset[str] = frozenset({"completed"})


def valid_request(rng: random.Random, name: str, sources: Sources) -> Valid:
    """A request that nothing is wrong with."""
    return rng.choices([_general, _segments, _inline], [80, 12, 8])[0](rng, name, sources)


def failing_request(rng: random.Random, name: str, sources: Sources) -> Valid:
    """A request that circumstances do not allow: it ends as `failed` with the code given."""
    body = _general(rng, name, sources).body
    causes: list[tuple[Body, str]] = [
        ({"video": {"type": "file", "path": "/etc/hostname"}}, "source_not_allowed"),
        ({"video": {"type": "file", "path": sources.paths[0] + ".not-there"}}, "source_not_found"),
        ({"video": {"type": "object", "uri": "s3://nobody/knows.mp4"}}, "source_not_allowed"),
        ({"video": {"type": "asset_id", "asset_id": "0" * 24}}, "source_not_found"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "deadline_exceeded"),
    ]
    members, code = rng.choice(causes)
    if body.get("prompt_v2"):
        body["prompt"] = body.pop("prompt_v2")["input_text"]
    return Valid({**body, **members}, frozenset({f"failed:{code}"}))


def prompt(rng: random.Random) -> str:
    """A question of a few words."""
    return f"Is there a {rng.choice(_WORDS)} near the {rng.choice(_WORDS)}?"


def _general(rng: random.Random, name: str, sources: Sources) -> Valid:
    body: Body = {
        "request_id": name,
        "video": _video(rng, sources),
        "prompt": prompt(rng),
        "mode": rng.choice(["stream", "sync", "async", "auto"]),
    }
    extras: list[tuple[float, Callable[[], Body]]] = [
        (0.2, lambda: {"response_format": {"type": "json_schema", "json_schema": _schema(rng)}}),
        (0.2, lambda: {"metadata": {"camera": rng.randrange(99), "tags": [rng.choice(_WORDS), None, 1.5, "ö\u2028"]}}),
        (0.1, lambda: {"temperature": round(rng.random(), 2)}),
        (0.1, lambda: {"max_tokens": rng.randrange(2048, 4096)}),
        (0.1, lambda: {"on_interrupt": rng.choice(["restart", "async", "fail"])}),
        (0.1, lambda: {"deadline": "2099-01-01T00:00:00Z"}),
        (0.05, lambda: {"start_time": 0.5, "end_time": 3.0}),
        (0.05, lambda: {"type": "analyze", "unknown member": {"a": [1, 2, {}]}}),
        (0.05, lambda: {"temperature": None, "prompt_v2": None}),
    ]
    for share, make in extras:
        if rng.random() < share:
            body |= make()
    if rng.random() < 0.05:
        body["prompt_v2"] = {"input_text": body.pop("prompt")}
        return Valid(body, frozenset({"completed", "failed:mode_not_possible"}))
    return Valid(body)


def _segments(rng: random.Random, name: str, sources: Sources) -> Valid:
    fields = [
        {"name": word, "type": rng.choice(["string", "number", "boolean"]), "description": f"the {word}"}
        for word in rng.sample(_WORDS, 3)
    ]
    definition = {"id": "scene", "description": "each scene", "fields": fields}
    return Valid(
        {
            "request_id": name,
            "video": {"type": "file", "path": rng.choice(sources.paths)},
            "mode": rng.choice(["async", "auto"]),
            "analysis_mode": "time_based_metadata",
            "response_format": {"type": "segment_definitions", "segment_definitions": [definition]},
        }
    )


def _inline(rng: random.Random, name: str, sources: Sources) -> Valid:
    content = base64.b64encode(rng.choice(sources.contents)).decode()
    return Valid(
        {
            "request_id": name,
            "video": {"type": "base64_string", "base64_string": content},
            "prompt": prompt(rng),
            "mode": rng.choice(["stream", "sync", "async"]),
            "upload": "inline",
        }
    )


def _video(rng: random.Random, sources: Sources) -> Body:
    kind = rng.choices(["file", "url", "base64_string"], [70, 20, 10])[0]
    video: Body = {"type": kind}
    if kind == "file":
        number = rng.randrange(len(sources.paths))
        video["path"] = sources.paths[number]
        if rng.random() < 0.1:
            video["key"] = f"clip {number}"
    elif kind == "url":
        video["url"] = rng.choice(sources.urls)
    else:
        video["base64_string"] = base64.b64encode(rng.choice(sources.contents)).decode()
    return video


def _schema(rng: random.Random) -> Body:
    names = rng.sample(_WORDS, 3)
    kinds = ["string", "integer", "number", "boolean"]
    return {
        "type": "object",
        "properties": {name: {"type": rng.choice(kinds)} for name in names},
        "required": names[:2],
    }
