"""Many requests on few videos: each video is uploaded once."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, analyze
from tests.support.waiting import until

pytestmark = pytest.mark.unit


async def test_three_hundred_requests_on_ten_videos_make_ten_uploads() -> None:
    videos = [{"type": "url", "url": f"https://media.example.com/{number}.mp4"} for number in range(10)]
    async with Bench() as bench:
        await bench.take(*(analyze(f"r-{number}", video=videos[number % 10]) for number in range(300)))
        await until(lambda: len(bench.completions()) == 300)
        assert {one["type"] for one in bench.completions()} == {"completed"}
        assert bench.platform.count("create_asset") == 10
        assert bench.platform.count("stream") == 300
