"""Videos in an object store, through the whole service: by us, by the platform, once for each content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from tests.acceptance.test_large_uploads import enlarge
from tests.footage.objects import servers
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture
def bucket(store: str) -> S3Store:
    return S3Store("archive", **_keys(store), client_options={"allow_http": True})  # type: ignore[arg-type]


def _keys(store: str) -> dict[str, str]:
    return {
        "aws_endpoint_url": store,
        "aws_access_key_id": servers.ACCESS_KEY,
        "aws_secret_access_key": servers.SECRET_KEY,
        "aws_region": "us-east-1",
    }


@pytest.fixture
def reading(store: str, make_own_stage: Callable[..., Stage]) -> Callable[..., Stage]:
    def make(**more: str) -> Stage:
        environment = {name.upper(): value for name, value in _keys(store).items()}
        return make_own_stage(environment | {"REELWIRE_SOURCES__OBJECT_PREFIXES": "s3://archive"} | more)

    return make


def _asking(stage: Stage, name: str, uri: str) -> dict[str, Any]:
    return {"request_id": name, "prompt": "What happens?", "mode": "async", "video": {"type": "object", "uri": uri}}


async def test_an_object_is_sent_once_for_each_content_and_only_from_an_allowed_place(
    reading: Callable[..., Stage], bucket: S3Store
) -> None:
    stage = reading()
    uri, clip = "s3://archive/cam 7/ü.mp4", stage.clip().read_bytes()
    await obstore.put_async(bucket, "cam 7/ü.mp4", clip)
    first, second, other, secret = (stage.name() for _ in range(4))
    await stage.request_producer.send(_asking(stage, first, uri))
    observer = await stage.ended(first)
    told = observer.events(first, "uploading")
    assert {(event["route"], event["bytes_total"]) for event in told} == {("direct", len(clip))}
    await stage.request_producer.send(_asking(stage, second, uri))
    again = (await stage.ended(second)).completion(second) or {}
    assert again["asset_id"] == (observer.completion(first) or {})["asset_id"]

    await obstore.put_async(bucket, "cam 7/ü.mp4", stage.clip().read_bytes())
    await stage.request_producer.send(_asking(stage, other, uri))
    replaced = (await stage.ended(other)).completion(other) or {}
    assert replaced["type"] == "completed"
    assert replaced["asset_id"] != again["asset_id"]

    await stage.request_producer.send(_asking(stage, secret, "s3://archive-private/a.mp4"))
    refused = (await stage.ended(secret)).completion(secret) or {}
    assert (refused["type"], refused["error"]["code"]) == ("failed", "source_not_allowed")
    assert "REELWIRE_SOURCES__OBJECT_PREFIXES" in refused["error"]["message"]


async def test_the_platform_fetches_from_a_signed_url_that_nobody_else_sees(
    reading: Callable[..., Stage], bucket: S3Store
) -> None:
    stage = reading(REELWIRE_SOURCES__OBJECT_URLS="always", REELWIRE_LOG__LEVEL="DEBUG")
    await obstore.put_async(bucket, "signed.mp4", stage.clip().read_bytes())
    name = stage.name()
    await stage.request_producer.send(_asking(stage, name, "s3://archive/signed.mp4"))
    observer = await stage.ended(name)
    assert (observer.completion(name) or {})["type"] == "completed"
    assert {event["route"] for event in observer.events(name, "uploading")} == {"url"}
    published = "".join(map(repr, observer.events(name)))
    for text in (stage.system.service().log_file.read_text(), published):
        assert "X-Amz-Signature" not in text
        assert servers.SECRET_KEY not in text


async def test_a_large_object_is_sent_in_an_upload_session(reading: Callable[..., Stage], bucket: S3Store) -> None:
    stage = reading(REELWIRE_PLATFORM__SESSION_FROM_BYTES=str(6 * 1024 * 1024))
    film = enlarge(stage.clip(), 20_000_000).read_bytes()
    await obstore.put_async(bucket, "large.mp4", film)
    name = stage.name()
    await stage.request_producer.send(_asking(stage, name, "s3://archive/large.mp4"))
    observer = await stage.ended(name)
    assert (observer.completion(name) or {})["type"] == "completed"
    told = observer.events(name, "uploading")
    assert {(event["route"], event["bytes_total"]) for event in told} == {("multipart", len(film))}
    assert told[-1]["bytes_sent"] == len(film)
