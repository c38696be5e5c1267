"""Assets: create by URL or by sending the bytes, look at, look for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from service.platform.errors import OutcomeUnknown
from service.platform.exchange import Call, Exchange, escaped
from service.platform.multipart import FilePart, Form, UploadSource
from service.platform.reading import error_of, number, text, whole
from service.platform.tasks import MAX_PAGES, PAGE_LIMIT, rows_of
from service.platform.values import Asset, epoch_seconds


class AssetCalls(Exchange):
    """`/assets`."""

    async def create_asset_from_url(
        self,
        url: str,
        *,
        filename: str,
        user_metadata: Mapping[str, Any] | None = None,
        deadline_seconds: float | None = None,
    ) -> Asset:
        """Have the platform fetch `url` itself. The asset is `processing`; poll it."""
        form = Form(_fields("url", filename, user_metadata, url=url), None)
        return await self._create("create_asset_url", form, deadline_seconds)

    async def create_asset_direct(
        self,
        source: UploadSource,
        *,
        filename: str,
        content_type: str,
        user_metadata: Mapping[str, Any] | None = None,
        on_progress: Callable[[int], None] | None = None,
        deadline_seconds: float | None = None,
    ) -> Asset:
        """Send the bytes of `source`, opened anew for this call. Needs its size.

        `on_progress` is given the bytes of the video sent so far, after every chunk, on the event loop: keep it
        cheap. What `source` raises passes through; a source that is shorter or longer than its size raises
        `SourceChanged`. An upload that makes no headway for the read timeout ends as `OutcomeUnknown`.
        """
        part = FilePart(source, filename, content_type, self._sent(on_progress))
        form = Form(_fields("direct", filename, user_metadata), part)
        return await self._create("create_asset_direct", form, deadline_seconds)

    def _sent(self, on_progress: Callable[[int], None] | None) -> Callable[[int, int], None]:
        def sent(total: int, chunk: int) -> None:
            self._metrics.upload_bytes.inc(chunk)
            if on_progress is not None:
                on_progress(total)

        return sent

    async def _create(self, operation: str, form: Form, deadline_seconds: float | None) -> Asset:
        limit = self._settings.upload_timeout_seconds
        async with aclosing(form):
            call = Call(
                operation=operation,
                method="POST",
                path="assets",
                category="upload",
                read_seconds=limit,
                headers={"content-type": form.content_type, "content-length": str(form.length)},
                content=form,
            )
            total = limit if deadline_seconds is None else min(limit, deadline_seconds)
            headway = asyncio.timeout(None)
            form.pulled = partial(self._watch, headway)
            try:
                async with headway, self._exchange(self._uploads, call, total) as response:
                    return asset_of(await self._object(response))
            except OutcomeUnknown:
                if form.failure is not None:  # the body could not be made: that is the cause, not the connection
                    raise form.failure from None
                raise
            except TimeoutError:
                raise OutcomeUnknown("the platform stopped taking the upload") from None

    def _watch(self, headway: asyncio.Timeout) -> None:
        """A piece is asked for: the next one, or after the last the answer, has the read timeout to follow.

        The HTTP library waits for ever to write, and its read timeout would end any upload that takes longer.
        """
        headway.reschedule(asyncio.get_running_loop().time() + self._settings.read_timeout_seconds)

    async def get_asset(self, asset_id: str, *, deadline_seconds: float | None = None) -> Asset:
        """The asset as it is now. `NotFound` when the platform has it no longer."""
        call = self._read_call("get_asset", f"assets/{escaped(asset_id)}")
        return asset_of(await self._ask(call, deadline_seconds=deadline_seconds))

    async def check_key(self) -> None:
        """Ask for next to nothing, to find out whether the key is accepted. Raises like every call."""
        await self._ask(self._read_call("check_key", "assets", [("page", "1"), ("page_limit", "1")]))

    async def find_assets(self, filename_contains: str, *, deadline_seconds: float | None = None) -> list[Asset]:
        """All assets with `filename_contains` in their name, whatever its case, newest first."""
        found: list[Asset] = []
        for page in range(1, MAX_PAGES + 1):
            query = [("filename", filename_contains), ("page", str(page)), ("page_limit", str(PAGE_LIMIT))]
            answer = await self._ask(self._read_call("list_assets", "assets", query), deadline_seconds=deadline_seconds)
            rows = rows_of(answer)
            if not rows:
                break
            found.extend(asset_of(row) for row in rows)
        return found


def _fields(
    method: str, filename: str, user_metadata: Mapping[str, Any] | None, *, url: str | None = None
) -> list[tuple[str, str]]:
    # Renditions and thumbnails are on by default at the platform, and of no use to an analysis.
    fields = [("method", method), ("filename", filename), ("enable_hls", "false"), ("enable_thumbnail", "false")]
    if url is not None:
        fields.insert(1, ("url", url))
    if user_metadata:
        fields.append(("user_metadata", json.dumps(user_metadata, ensure_ascii=False, separators=(",", ":"))))
    return fields


def asset_of(body: dict[str, Any]) -> Asset:
    """An asset from any answer that holds one. Without id or status the answer says nothing: `OutcomeUnknown`."""
    asset_id, status = text(body.get("_id")), text(body.get("status"))
    if not asset_id or not status:
        raise OutcomeUnknown("the platform's answer holds no asset")
    metadata = body.get("user_metadata")
    return Asset(
        id=asset_id,
        status=status,
        filename=text(body.get("filename")),
        duration=number(body.get("duration")),
        size=whole(body.get("size")),
        error_message=error_of(body)[1],
        created_at=epoch_seconds(body.get("created_at")),
        user_metadata=metadata if isinstance(metadata, dict) else None,
    )
