"""Invents what is said in a video with sound: the same words for the same content, spread over its length."""

from __future__ import annotations

import random
from typing import Any

from service.emulator.media.footage import Footage

_TEXT = "the gate is open now and we wait for the truck to leave please keep the door clear until the light turns green"
_WORD_SECONDS = 0.4
_SENTENCE_WORDS = 8
PARTS = ("words", "sentences", "utterances")


def transcript(footage: Footage, parts: frozenset[str]) -> dict[str, Any]:
    """The named parts of a transcription. Times are seconds on the file's own clock."""
    rng, vocabulary = random.Random(footage.sha256), _TEXT.split()
    count = max(1, min(5_000, int((footage.ends_at - footage.starts_at) / _WORD_SECONDS)))
    words: list[dict[str, Any]] = []
    for number in range(count):
        start = footage.starts_at + number * _WORD_SECONDS
        end = round(start + _WORD_SECONDS, 3)
        words.append({"start": round(start, 3), "end": end, "value": rng.choice(vocabulary)})
    lines: list[dict[str, Any]] = []
    for at in range(0, count, _SENTENCE_WORDS):
        part = words[at : at + _SENTENCE_WORDS]
        text = " ".join(str(word["value"]) for word in part)
        lines.append({"start": part[0]["start"], "end": part[-1]["end"], "value": text})
    spoken = [line | {"speaker": str(number % 2)} for number, line in enumerate(lines)]
    found = {"words": words, "sentences": lines, "utterances": spoken}
    return {name: found[name] for name in PARTS if name in parts}
