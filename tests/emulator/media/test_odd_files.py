"""Files of strangers: whatever they hold, the emulator ends with measures or with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from service.emulator.media.footage import UnreadableFootage
from service.emulator.media.inspection import inspect
from tests.emulator.media import odd_files as odd

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
FAST_START = {"movflags": "faststart"}
MIRRORED_AND_TURNED = (0, 65_536, 0, 65_536, 0, 0, 0, 0, 1 << 30)

Maker = Callable[[Path], Path]


def _changed(change: Callable[[bytes], bytes], options: dict[str, str] | None = None, starts_at: float = 0.0) -> Maker:
    def make(folder: Path) -> Path:
        clip = odd.make_clip(folder / "clip.mp4", starts_at=starts_at, options=options, sound=not starts_at)
        clip.write_bytes(change(clip.read_bytes()))
        return clip

    return make


@pytest.mark.parametrize(
    ("make", "starts_at", "duration"),
    [
        pytest.param(lambda at: odd.make_clip(at / "a.ts", starts_at=90, sound=True), 90, 2, id="broadcast cut-out"),
        pytest.param(lambda at: odd.make_clip(at / "a.mkv", starts_at=10), 10, 2, id="Matroska from 10 s"),
        pytest.param(_changed(lambda data: odd.with_empty_edit(data, 10), starts_at=1), 10, 2, id="edit list"),
        pytest.param(_changed(lambda data: odd.with_later_fragments(data, 10), FRAGMENTED), 10, 2, id="fragments"),
        pytest.param(lambda at: odd.make_clip(at / "a.mp4", options=FRAGMENTED), 0, 2, id="fragmented"),
        pytest.param(lambda at: odd.make_clip(at / "a.mkv", times=[0, 0.04, 1, 3.2]), 0, 3.24, id="variable rate"),
        pytest.param(lambda at: odd.make_clip(at / "a.mpg", codec="mpeg2video"), 0.5, 2, id="program stream"),
        pytest.param(_changed(lambda data: data[: len(data) // 2], FAST_START), 0, 1, id="cut off in its data"),
        pytest.param(_changed(lambda data: odd.with_matrix(data, MIRRORED_AND_TURNED)), 0, 2, id="turned and mirrored"),
        pytest.param(_changed(lambda data: odd.with_matrix(data, (-1,) * 9)), 0, 2, id="nonsense matrix"),
        pytest.param(lambda at: odd.make_sound(at / "a.mp4", layout="mono", codec="aac"), 0, 1, id="sound only"),
    ],
)
def test_the_duration_is_that_of_the_picture_wherever_the_clock_starts(
    tmp_path: Path, make: Maker, starts_at: float, duration: float
) -> None:
    footage = inspect(str(make(tmp_path)), "sha")

    assert footage.duration == pytest.approx(duration, abs=0.3)
    assert footage.starts_at == pytest.approx(starts_at, abs=0.6)
    assert footage.scenes[0].start == pytest.approx(footage.starts_at, abs=0.01)
    assert footage.scenes[-1].end == pytest.approx(footage.ends_at, abs=0.01)


@pytest.mark.parametrize(("layout", "codec", "name"), [("7.1", "flac", "a.mkv"), ("22.2", "pcm_s16le", "b.mkv")])
def test_sound_of_many_channels_is_measured(tmp_path: Path, layout: str, codec: str, name: str) -> None:
    footage = inspect(str(odd.make_sound(tmp_path / name, layout=layout, codec=codec)), "sha")

    assert (footage.kind, footage.channels) == ("audio", 8 if layout == "7.1" else 24)
    assert footage.scenes[0].loudness == pytest.approx(-15, abs=2)


def test_a_picture_beside_sound_without_a_decoder_is_measured(tmp_path: Path) -> None:
    make = _changed(lambda data: odd.renamed(data, b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    footage = inspect(str(make(tmp_path)), "sha")

    assert footage.duration == pytest.approx(2, abs=0.1)
    assert (footage.kind, footage.scenes[0].loudness) == ("video", None)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(_changed(lambda data: b""), "is empty", id="empty"),
        pytest.param(_changed(lambda data: odd.without_box(data, b"moov")), "not a readable video", id="no moov"),
        pytest.param(_changed(lambda data: odd.renamed(data, b"avc1", b"zzzz")), "no decoder", id="unknown codec"),
        pytest.param(_changed(lambda data: odd.renamed(data, b"avc1", b"encv")), "picture", id="encrypted"),
        pytest.param(_changed(lambda data: odd.renamed(data, b"stsd", b"free")), "no decoder", id="no description"),
        pytest.param(lambda at: odd.make_subtitles(at / "a.srt"), "neither a video", id="subtitles only"),
    ],
)
def test_what_can_t_be_decoded_is_refused_with_a_reason(tmp_path: Path, make: Maker, reason: str) -> None:
    with pytest.raises(UnreadableFootage, match=reason) as caught:
        inspect(str(make(tmp_path)), "sha")
    assert "Error" not in str(caught.value)


def test_a_picture_that_claims_a_gigantic_size_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(odd.huge_png(16_000))
    footage = inspect(str(tmp_path / "huge.png"), "sha")

    assert (footage.kind, footage.width) == ("image", 16_000)


def test_a_playlist_does_not_make_the_decoder_open_other_files(tmp_path: Path) -> None:
    clip = odd.make_clip(tmp_path / "a.ts")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{clip}\n#EXT-X-ENDLIST\n"
    (tmp_path / "list").write_text(playlist, encoding="utf-8")

    with pytest.raises(UnreadableFootage):
        inspect(str(tmp_path / "list"), "sha")
