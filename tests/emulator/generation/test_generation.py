"""The text of an analysis."""

from __future__ import annotations

from pathlib import Path

from service.sandbox.footage import make_video, sample_video
from tests.emulator.conftest import Client


async def test_the_same_bytes_and_prompt_give_the_same_text_and_others_another(
    client: Client, clip: Path, tmp_path: Path
) -> None:
    first, again = await client.ready_asset(clip), await client.ready_asset(clip)
    other = await client.ready_asset(make_video(tmp_path / "other.mp4", seed=2))
    texts = [(await client.analyze(item, stream=False)).json for item in (first, again, other)]
    reworded = (await client.analyze(first, prompt="Something else", stream=False)).json

    assert texts[0] == texts[1]
    assert len({texts[0]["data"], texts[2]["data"], reworded["data"]}) == 3


async def test_the_text_names_the_cuts_of_the_video(client: Client) -> None:
    asset_id = await client.ready_asset(sample_video())
    text = (await client.analyze(asset_id, stream=False)).json["data"]

    assert "4 scenes, with cuts at 00:00:06, 00:00:12, 00:00:18" in text


async def test_max_tokens_cuts_the_text_with_a_warning(client: Client, asset: str) -> None:
    client.emulator.set_pace(characters=5000)
    ended = (await client.analyze(asset, max_tokens=512)).lines[-1]
    answer = (await client.analyze(asset, max_tokens=512, stream=False)).json

    assert (ended["finish_reason"], ended["metadata"]["usage"]["output_tokens"]) == ("length", 512)
    assert ended["error"]["message"]
    assert (answer["finish_reason"], len(answer["data"])) == ("length", 2048)


async def test_a_window_narrows_the_text(client: Client) -> None:
    asset_id = await client.ready_asset(sample_video())
    text = (await client.analyze(asset_id, stream=False, start_time=7, end_time=11.5)).json["data"]

    assert "It is one shot without a cut" in text
