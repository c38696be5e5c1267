"""Opens a file with PyAV and measures a sample of its pictures and sound.

Only the worker process calls this, because a file may crash the decoder or keep it busy. The counts below bound the
work and are reached at the same place each time, so the same file always gives the same result.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import av

from service.emulator.media.footage import Footage, Kind, UnreadableFootage
from service.emulator.media.scenes import HEIGHT, WIDTH, Loudness, Sample, scenes_of

_MAX_PICTURE = 2 * 5184 * 2160
"""Pixels. Larger pictures are not decoded: the platform refuses them by their size anyway."""
_FULL_DECODING = 2_000_000_000
"""Pixels decoded, after which only key frames are decoded; after twice as many nothing is."""
_MAX_DECODING_ERRORS = 100
_SAMPLE_GAP_SECONDS = 0.1
_MAX_SAMPLES = 600
_READING_SECONDS = 10.0
"""The last resort: then the durations that the file declares are taken. Processor time, which other programs do not
take away, so that the result is the same on a busy machine."""
_UNDECLARED_FRAME_SECONDS = 0.04
_UNREADABLE = "The file is not a readable video: it is damaged, encrypted or of an unknown format."


@dataclass(slots=True)
class _Span:
    """First and last moment of a stream, from its packets, in seconds."""

    start: float | None = None
    end: float = 0.0

    def add(self, packet: Any, usual_seconds: float) -> None:
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None or packet.time_base is None or packet.is_discard:
            return
        first = float(at * packet.time_base)
        length = float(packet.duration * packet.time_base) if packet.duration else usual_seconds
        self.end = first + length if self.start is None else max(self.end, first + length)
        self.start = first if self.start is None else min(self.start, first)

    @property
    def seconds(self) -> float:
        return max(0.0, self.end - self.start) if self.start is not None else 0.0


def inspect(path: str, sha256: str) -> Footage:
    """Measure the file. Blocks for seconds. Raises `UnreadableFootage`."""
    file = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(file).st_size
        if size == 0:
            raise UnreadableFootage("The file is empty.")
        # Only this descriptor may be read: a playlist must not make the decoder open other files or addresses.
        with av.open("fd:", options={"fd": str(file), "protocol_whitelist": "fd"}) as container:
            return _Inspection(container).footage(sha256, size)
    except MemoryError:
        raise UnreadableFootage("The file needs too much memory.") from None
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        raise UnreadableFootage(_UNREADABLE) from None
    finally:
        os.close(file)


class _Inspection:
    """One pass over the packets of a container."""

    def __init__(self, container: Any) -> None:
        self._container = container
        pictures = [item for item in container.streams.video if not _is_cover(item)]
        self._video: Any = pictures[0] if pictures else None
        self._audio: Any = container.streams.audio[0] if container.streams.audio else None
        self._video_streams, self._audio_streams = len(pictures), len(container.streams.audio)
        self._loudness = Loudness() if _codec(self._audio) else None
        self._samples: list[Sample] = []
        self._due = float("-inf")
        self._pixels = 0
        self._errors = 0
        self._rotation = 0
        self._picture, self._sound = _Span(), _Span()
        self._complete = False

    def footage(self, sha256: str, size: int) -> Footage:
        video, audio = self._video, self._audio
        if video is None and audio is None:
            raise UnreadableFootage("The file has neither a video nor an audio stream.")
        main = video if video is not None else audio
        if not _codec(main):
            what = "picture" if video is not None else "sound"
            raise UnreadableFootage(f"There is no decoder for the {what} of the file.")
        names = self._container.format.name
        kind: Kind = "audio" if video is None else "image" if _is_image(names) else "video"
        large = video is not None and video.width * video.height > _MAX_PICTURE
        self._read(decoding=not large)
        if video is not None and not self._samples and not large:
            raise UnreadableFootage("No picture of the video could be decoded.")
        span = self._picture if video is not None else self._sound
        duration = 0.0 if kind == "image" else self._duration(main, span)
        starts_at = span.start or 0.0 if kind != "image" else 0.0
        return Footage(
            sha256=sha256,
            size=size,
            kind=kind,
            container=names,
            duration=round(duration, 3),
            width=video.width if video is not None else 0,
            height=video.height if video is not None else 0,
            fps=round(float(video.average_rate or 0), 3) if video is not None else 0.0,
            video_codec=_codec(video),
            audio_codec=(_codec(audio) or "unknown") if audio is not None else None,
            sample_rate=audio.codec_context.rate if _codec(audio) else 0,
            channels=audio.codec_context.channels if _codec(audio) else 0,
            scenes=scenes_of(self._samples, self._loudness, starts_at, duration),
            starts_at=round(starts_at, 3),
            rotation=self._rotation,
            video_streams=self._video_streams,
            audio_streams=self._audio_streams,
            audio_duration=round(self._duration(audio, self._sound), 3) if audio is not None else 0.0,
        )

    def _read(self, *, decoding: bool) -> None:
        """Go through the packets to the end of the file, or as far as it can be read."""
        streams = [item for item in (self._video, self._audio) if item is not None]
        usual = 1 / float(self._video.average_rate) if self._video is not None and self._video.average_rate else 0.0
        give_up_at = time.process_time() + _READING_SECONDS
        if self._video is not None:
            self._video.codec_context.thread_count = 1
        try:
            for packet in self._container.demux(*streams):
                if packet.stream is self._video:
                    self._picture.add(packet, usual or _UNDECLARED_FRAME_SECONDS)
                    if decoding:
                        self._look(packet)
                else:
                    self._sound.add(packet, 0.0)
                    self._hear(packet)
                if time.process_time() > give_up_at:
                    return
        except av.error.FFmpegError:
            pass  # the file is broken from here on; what came before counts
        self._complete = True

    def _look(self, packet: Any) -> None:
        if self._errors > _MAX_DECODING_ERRORS or self._pixels > 2 * _FULL_DECODING:
            return
        try:
            for frame in packet.decode():
                self._take(frame)
        except av.error.FFmpegError:
            self._errors += 1

    def _take(self, frame: Any) -> None:
        before, self._pixels = self._pixels, self._pixels + frame.width * frame.height
        if before <= _FULL_DECODING < self._pixels:
            self._video.codec_context.skip_frame = "NONKEY"
        if not self._samples:
            self._rotation = int(frame.rotation) if abs(frame.rotation) <= 360 else 0
        at = float(frame.time) if frame.time is not None else self._picture.end
        if at < self._due:
            return
        small = frame.reformat(width=WIDTH, height=HEIGHT, format="rgb24")
        plane = small.planes[0]
        data, row = bytes(plane), plane.line_size
        self._samples.append(Sample(at, b"".join(data[y * row : y * row + 3 * WIDTH] for y in range(HEIGHT))))
        self._due = at + _SAMPLE_GAP_SECONDS
        if len(self._samples) >= 2 * _MAX_SAMPLES:
            self._thin_out(at)

    def _thin_out(self, at: float) -> None:
        """Keep every second sample, and take them half as often from here on."""
        self._samples = self._samples[::2]
        gap = (at - self._samples[0].at) / _MAX_SAMPLES
        self._due = at + max(gap, _SAMPLE_GAP_SECONDS)

    def _hear(self, packet: Any) -> None:
        if self._loudness is None or self._loudness.full or self._errors > _MAX_DECODING_ERRORS:
            return
        try:
            for frame in packet.decode():
                self._loudness.add(frame)
        except av.error.FFmpegError:
            self._errors += 1

    def _duration(self, stream: Any, span: _Span) -> float:
        if span.start is not None and self._complete:
            return span.seconds
        declared = stream.duration * stream.time_base if stream.duration else None
        if declared is None and self._container.duration:
            declared = self._container.duration / av.time_base
        return max(span.seconds, float(declared or 0.0))


def _codec(stream: Any) -> str | None:
    """The codec's name; None without a stream, or for one that has no decoder."""
    return str(stream.codec_context.name) if stream is not None and stream.codec_context is not None else None


def _is_cover(stream: Any) -> bool:
    """Whether the stream is the cover picture of a music file."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _is_image(names: str) -> bool:
    return names in {"image2", "gif"} or names.endswith("_pipe")
