"""Sentences about a video, made from its measures. The same random generator gives the same sentences."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from service.emulator.media.footage import Footage, Scene


def clock_time(seconds: float) -> str:
    """`seconds` as hh:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def clock_time_ms(seconds: float) -> str:
    """`seconds` as hh:mm:ss.fff."""
    millis = round(seconds * 1000)
    return f"{clock_time(millis // 1000)}.{millis % 1000:03}"


def scenes_within(footage: Footage, start: float, end: float) -> list[Scene]:
    """The scenes that overlap the window; the first scene if none does. Times are on the file's clock."""
    touched = [scene for scene in footage.scenes if scene.end > start and scene.start < end]
    return touched or list(footage.scenes[:1])


def narrate(footage: Footage, prompt: str, start: float, end: float, rng: random.Random, characters: int) -> str:
    """An overview, sentences for each scene, then observations until the text has at least `characters`."""
    scenes = scenes_within(footage, start, end)
    sentences = [*overview(footage, prompt, start, end, scenes), *scene_sentences(scenes, rng)]
    length = sum(len(sentence) + 1 for sentence in sentences)
    more = observations(scenes, start, end, rng)
    while length < characters:
        sentences.append(next(more))
        length += len(sentences[-1]) + 1
    return " ".join(sentences)


def describe_pictures(footage: Footage, names: Sequence[str], prompt: str, rng: random.Random, characters: int) -> str:
    """A sentence for each image, whose scenes are those of `footage` in order, then more until it is long enough."""
    asked = " ".join(prompt.split())
    sentences = [f"You asked: “{asked[:120]}{'…' if len(asked) > 120 else ''}”.", f"There are {len(names)} images."]
    shown = list(zip(names, footage.scenes, strict=True))
    for name, scene in shown:
        sentences.append(f"The image {name} is {light(scene)} and mostly {scene.colour}.")
    length = sum(len(sentence) + 1 for sentence in sentences)
    while length < characters:
        name, scene = rng.choice(shown)
        word = rng.choice(["shows", "keeps to", "consists of"])
        sentences.append(f"A part of {name} {word} {light(scene)} {scene.colour} ground.")
        length += len(sentences[-1]) + 1
    return " ".join(sentences)


def overview(footage: Footage, prompt: str, start: float, end: float, scenes: list[Scene]) -> Iterator[str]:
    """The first sentences: the prompt, the window, the number of scenes."""
    asked = " ".join(prompt.split())
    if asked:
        yield f"You asked: “{asked[:120]}{'…' if len(asked) > 120 else ''}”."
    size = f"{footage.width}x{footage.height} at {footage.fps:g} frames a second"
    yield f"The part from {clock_time(start)} to {clock_time(end)} lasts {end - start:.1f} seconds, {size}."
    if len(scenes) == 1:
        yield "It is one shot without a cut."
    else:
        cuts = ", ".join(clock_time(scene.start) for scene in scenes[1:])
        yield f"It has {len(scenes)} scenes, with cuts at {cuts}."


def scene_sentences(scenes: list[Scene], rng: random.Random) -> Iterator[str]:
    """One sentence for each scene, in order, and a second one if it has sound."""
    for number, scene in enumerate(scenes, start=1):
        opening = rng.choice(["Scene", "Part", "Shot"])
        span = f"{clock_time(scene.start)} to {clock_time(scene.end)}"
        yield f"{opening} {number} ({span}) is {light(scene)} and mostly {scene.colour}, with {movement(scene)}."
        if scene.loudness is not None:
            yield f"{rng.choice(['One hears', 'The sound is', 'There is'])} {sound(scene)}."


def observations(scenes: list[Scene], start: float, end: float, rng: random.Random) -> Iterator[str]:
    """Endless sentences about moments of the window; after its end they begin again at its start."""
    at = start
    while True:
        scene = next((item for item in scenes if item.start <= at < item.end), scenes[-1])
        subject = rng.choice(["the picture", "the frame", "the view", "this moment"])
        verb = rng.choice(["shows", "keeps to", "goes on with", "returns to"])
        yield f"At {clock_time(at)} {subject} {verb} {movement(scene)} on {light(scene)} {scene.colour} ground."
        at += rng.uniform(0.5, 2.5)
        if at >= end:
            at = start


def light(scene: Scene) -> str:
    """The brightness of a scene in words."""
    return "dark" if scene.brightness < 0.3 else "bright" if scene.brightness > 0.6 else "evenly lit"


def movement(scene: Scene) -> str:
    """The motion in a scene in words."""
    if scene.motion < 0.05:
        return "hardly any motion"
    return "gentle motion" if scene.motion < 0.3 else "lively motion" if scene.motion < 0.6 else "strong motion"


def sound(scene: Scene) -> str:
    """The loudness of a scene in words."""
    loudness = scene.loudness if scene.loudness is not None else -90.0
    word = "near silence" if loudness < -50 else "quiet sound" if loudness < -25 else "loud sound"
    return f"{word} of {loudness:.0f} dB"
