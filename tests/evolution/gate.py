"""The evolution gate: today's contract against that of every release. `python -m tests.evolution.gate`, in `make lint`.

- A request that a release took is taken today. A member that the release did not know may be of any form.
- An event of today is one for a reader that has the release's schema. It may have more members; new types may come.
- No topic and no message of a release is gone.

`jsoncompat` compares, but for the keywords that it does not look at: of those any change counts. What it can't prove,
and what was changed on purpose, stands with its reason in `contracts/released/exceptions.json`, pinned to what stands
at that place today: another change is judged again.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jsoncompat

from contracts.asyncapi import document
from contracts.generate import GENERATED
from contracts.schemas import REQUESTS, all_schemas

Schema = dict[str, Any]

RELEASED = GENERATED.parent / "released"
_WORDS = frozenset({"$id", "$schema", "title", "description", "default", "examples"})
"""What says nothing of what is valid. `jsoncompat` takes references within a schema only, so it goes without `$id`."""

_UNSEEN = ("pattern", "format")
"""Keywords of ours that `jsoncompat` passes over."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A difference that was judged: `at` is a JSON pointer into a schema.

    `now` pins what stands there today: a plain value as it is, anything else by `fingerprint`. A list of values may
    grow without being judged again when `grows` is true.
    """

    schema: str
    at: str
    why: str
    now: Any = None
    grows: bool = False


def releases() -> list[str]:
    """The releases that are kept, the oldest first."""
    return sorted((path.name for path in RELEASED.iterdir() if path.is_dir()), key=_numbers)


def released_schemas(release: str) -> dict[str, Schema]:
    """The schemas of a release by their name."""
    files = sorted((RELEASED / release / "schemas").glob("*.schema.json"))
    return {path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8")) for path in files}


def released_examples(release: str, kind: str) -> dict[str, Any]:
    """The examples of a release: `requests`, `events` or `records`."""
    files = sorted((RELEASED / release / "examples" / kind).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def accepted(release: str) -> list[Accepted]:
    """What was judged of the differences from a release."""
    listed = json.loads((RELEASED / "exceptions.json").read_text(encoding="utf-8"))
    return [Accepted(**entry) for entry in listed[release]["schemas"]]


def fingerprint(value: Any) -> Any:
    """How a value is pinned: itself when it is plain, else the beginning of its digest."""
    if not isinstance(value, dict | list):
        return value
    return "sha256:" + hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def broken_schemas(old: Mapping[str, Schema], new: Mapping[str, Schema], judged: Sequence[Accepted] = ()) -> list[str]:
    """Every message that would not be understood any more, a line each; empty when all are."""
    broken = []
    for name, schema in old.items():
        if name not in new:
            broken.append(f"{name}: the message is gone")
            continue
        broken += _broken(name, schema, new[name], [one for one in judged if one.schema == name])
    return broken


def broken_topics(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Topics and messages of an AsyncAPI document that another one does not have."""
    there = {channel["address"]: set(channel["messages"]) for channel in new["channels"].values()}
    gone = []
    for channel in old["channels"].values():
        address = channel["address"]
        if address not in there:
            gone.append(f"{address}: the topic is gone")
            continue
        gone += [f"{address}: {message} is gone" for message in channel["messages"] if message not in there[address]]
    return gone


def check(new: Mapping[str, Schema] | None = None) -> list[str]:
    """What is broken with regard to any release."""
    found = []
    for release in releases():
        published = json.loads((RELEASED / release / "asyncapi.json").read_text(encoding="utf-8"))
        lines = broken_schemas(released_schemas(release), new or all_schemas(), accepted(release))
        lines += broken_topics(published, document())
        found += [f"since {release}: {line}" for line in lines]
    return found


def _broken(name: str, old: Schema, new: Schema, judged: Sequence[Accepted]) -> Iterator[str]:
    old, new = _bare(old), _bare(new)
    request = name in REQUESTS
    if request:
        _leave_out_new_members(old, new)
    for one in judged:
        problem = _apply(one, old, new)
        if problem is not None:
            yield f"{name}{one.at}: {problem}"
            return
    for place in _unseen(old, new) if request else _unseen(new, old):
        yield f"{name}{place}: is not what it was, and whether it fits can't be computed"
    role: Literal["deserializer", "serializer"] = "deserializer" if request else "serializer"
    if jsoncompat.check_compat(json.dumps(old), json.dumps(new), role):
        return
    places = ", ".join(_places(old, new, role)) or "the whole of it"
    what = "requests that it took may be refused" if request else "its readers may not understand today's events"
    yield f"{name}: {what}; look at {places}"


def _bare(node: Any) -> Any:
    """A schema without words. Names of members are no words, whatever they are."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _bare(child) for name, child in value.items()} if key in ("properties", "$defs") else _bare(value)
        for key, value in node.items()
        if key not in _WORDS
    }


def _leave_out_new_members(old: Any, new: Any) -> None:
    """Take members that the old schema does not name out of the new one, wherever the two agree in their shape."""
    if isinstance(old, dict) and isinstance(new, dict):
        members = old.get("properties")
        if isinstance(members, dict) and isinstance(new.get("properties"), dict):
            for name in [name for name in new["properties"] if name not in members]:
                del new["properties"][name]
        for key in old.keys() & new.keys():
            _leave_out_new_members(old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list):
        for before, after in zip(old, new, strict=False):
            _leave_out_new_members(before, after)


def _unseen(wide: Any, narrow: Any, way: str = "") -> Iterator[str]:
    """Where `narrow` has a keyword that is not looked at, and `wide` has not the same."""
    if isinstance(wide, dict) and isinstance(narrow, dict):
        for keyword in _UNSEEN:
            if isinstance(narrow.get(keyword), str) and wide.get(keyword) != narrow[keyword]:
                yield f"{way}/{keyword}"
        for key in wide.keys() & narrow.keys():
            yield from _unseen(wide[key], narrow[key], f"{way}/{key}")
    elif isinstance(wide, list) and isinstance(narrow, list):
        for number, (one, other) in enumerate(zip(wide, narrow, strict=False)):
            yield from _unseen(one, other, f"{way}/{number}")


def _apply(one: Accepted, old: Schema, new: Schema) -> str | None:
    """Make both sides the same at this place; or say why the judgement does not hold."""
    way = [part.replace("~1", "/").replace("~0", "~") for part in one.at.split("/")[1:]]
    before, after = _parent(old, way), _parent(new, way)
    last = way[-1]
    was, now = before.get(last) if before else None, after.get(last) if after else None
    if was == now:
        return "is listed as an exception, but nothing differs there; take it off the list"
    if one.grows:
        if not isinstance(was, list) or not isinstance(now, list) or not all(value in now for value in was):
            return "may only grow, and something is gone"
        assert after is not None
        after[last] = copy.deepcopy(was)
        return None
    if fingerprint(now) != one.now:
        return f"was judged as {one.now!r} and is now {fingerprint(now)!r}; judge it again in exceptions.json"
    for side in (before, after):
        if side is not None:
            side.pop(last, None)
    return None


def _parent(schema: Any, way: Sequence[str]) -> dict[str, Any] | None:
    for part in way[:-1]:
        if isinstance(schema, list) and part.isdigit() and int(part) < len(schema):
            schema = schema[int(part)]
        elif isinstance(schema, dict) and part in schema:
            schema = schema[part]
        else:
            return None
    return schema if isinstance(schema, dict) else None


def _places(old: Schema, new: Schema, role: Literal["deserializer", "serializer"]) -> Iterator[str]:
    """The members that alone would be incompatible, for people who look for the reason."""
    definitions = {"$defs": old.get("$defs", {})}, {"$defs": new.get("$defs", {})}
    for name, member in old.get("properties", {}).items():
        after = new.get("properties", {}).get(name, {})
        pair = [json.dumps({"type": "object", "properties": {name: part}} | more)
                for part, more in zip((member, after), definitions, strict=True)]  # fmt: skip
        if member != after and not jsoncompat.check_compat(pair[0], pair[1], role):
            yield f"/properties/{name}"
    for keyword in ("required", "allOf", "additionalProperties"):
        if old.get(keyword) != new.get(keyword):
            yield f"/{keyword}"


def _numbers(release: str) -> list[int]:
    return [int(part) for part in release.split(".")]


def main() -> int:
    """Print what is broken. Exit code 1 when something is."""
    found = check()
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print("the contract only grows; see docs/howto/upgrading.md", file=sys.stderr)
        return 1
    print(f"the contract agrees with its releases: {', '.join(releases())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
