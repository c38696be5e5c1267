"""Plain HTTP to a platform, without the forgiveness of a client; and the things that probes share and clean up."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDictProxy
from yarl import URL

_NAME = "reelwire-verify.mp4"
_LOOK_SECONDS = 0.5
_ENDED = frozenset({"ready", "failed", "canceled"})


class NotTried(Exception):
    """A probe could not be tried; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The decoded body; None if it is no JSON."""
        try:
            return orjson.loads(self.raw)
        except orjson.JSONDecodeError:
            return None

    @property
    def code(self) -> str | None:
        """The error code, wherever it stands."""
        body = self.json
        error = body.get("error", body) if isinstance(body, dict) else None
        return error.get("code") if isinstance(error, dict) else None

    @property
    def brief(self) -> str:
        """For people: status, and code or the beginning of the body."""
        return f"{self.status} {self.code or self.raw[:80].decode('utf-8', 'replace')}".strip()


class Wire:
    """One platform and one account. `clean` deletes the assets that were made."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, key: str, sample: Path, *, wait_seconds: float
    ) -> None:
        self.sample = sample
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._wait_seconds = wait_seconds
        self._made: list[str] = []
        self._ready: str | None = None

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        url: str | None = None,
    ) -> Answer:
        """One request, with the key unless `url` names another host. Raises `NotTried` when there is no answer."""
        sent = {} if url is not None else {"x-api-key": self._key}
        if body is not None:
            data, sent = orjson.dumps(body), sent | {"content-type": "application/json"}
        address = URL(url, encoded=True) if url is not None else self._base_url + path
        try:
            async with self._session.request(
                method,
                address,
                data=data,
                headers={**sent, **(headers or {})},
                allow_redirects=False,
                skip_auto_headers=("Content-Type",),
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, TimeoutError):
            raise NotTried("the platform gave no answer") from None

    async def upload(self, content: bytes | None = None, **fields: str) -> Answer:
        """Create an asset from the sample, or from `content`."""
        data = content if content is not None else await asyncio.to_thread(self.sample.read_bytes)
        boundary = secrets.token_hex(16)
        # As the documents show it: text parts without a content type, and the file behind them.
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in ({"method": "direct"} | fields).items()
        )
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_NAME}"\r\n'
        form = f"{head}Content-Type: video/mp4\r\n\r\n".encode() + data + f"\r\n--{boundary}--\r\n".encode()
        kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
        answer = await self.call("POST", "/assets", data=io.BytesIO(form), headers=kind)
        if answer.status == 201 and isinstance(answer.json, dict) and "_id" in answer.json:
            self._made.append(str(answer.json["_id"]))
        return answer

    async def settled(self, path: str) -> dict[str, Any]:
        """An asset or task once it has ended. Raises `NotTried` when that takes too long."""
        until = asyncio.get_running_loop().time() + self._wait_seconds
        while True:
            body = (await self.call("GET", path)).json
            if isinstance(body, dict) and body.get("status") in _ENDED:
                return body
            if asyncio.get_running_loop().time() > until:
                raise NotTried(f"{path} did not end within {self._wait_seconds:g} s")
            await asyncio.sleep(_LOOK_SECONDS)

    async def asset(self) -> str:
        """The sample as a ready asset, uploaded once for all probes. Raises `NotTried`."""
        if self._ready is None:
            answer = await self.upload()
            if answer.status != 201:
                raise NotTried(f"the sample could not be uploaded: {answer.brief}")
            asset_id = str(answer.json["_id"])
            if (await self.settled(f"/assets/{asset_id}"))["status"] != "ready":
                raise NotTried("the sample did not become a ready asset")
            self._ready = asset_id
        return self._ready

    async def question(self, **members: Any) -> dict[str, Any]:
        """A small analysis of the first seconds of the sample."""
        video = {"type": "asset_id", "asset_id": await self.asset()}
        window = {"start_time": 0, "end_time": 4}
        prompt = "Answer with one word: what is seen?"
        return {"model_name": "pegasus1.5", "video": video, "prompt": prompt, "max_tokens": 512, **window, **members}

    async def clean(self) -> None:
        """Delete every asset that was made. Never raises."""
        for asset_id in self._made:
            try:
                await self.call("DELETE", f"/assets/{asset_id}")
            except NotTried:
                continue
