"""Assets: create by URL or by sending the bytes, look at, look for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from service.platform.errors import Conflict, NotFound, OutcomeUnknown, PlatformError, SearchIncomplete, Unsendable
from service.platform.http.exchange import Call, escaped, json_call
from service.platform.http.headway import Headway
from service.platform.http.multipart import FilePart, Form, UploadSource
from service.platform.marks import AssetMark, mark_of
from service.platform.paging import Page, PagedCalls, Row
from service.platform.values import Asset
from service.platform.walk import Walk

_MOST_PAGES = 2_000


class AssetCalls(PagedCalls):
    """`/assets`."""

    async def create_asset_from_url(self, url: str, *, filename: str, mark: AssetMark, request_id: str) -> Asset:
        """Have the platform fetch `url` itself. The asset is `processing`; poll it."""
        fields = self._fields("url", filename, mark, request_id)
        return await self._create("create_asset_url", _form([fields[0], ("url", url), *fields[1:]], None))

    async def create_asset_direct(
        self,
        source: UploadSource,
        *,
        filename: str,
        content_type: str,
        mark: AssetMark,
        request_id: str,
        on_progress: Callable[[int], None] | None = None,
    ) -> Asset:
        """Send the bytes of `source`, opened anew for this call. Needs its size.

        `on_progress` is given the bytes of the video sent so far, after every chunk, on the event loop: keep it
        cheap. What `source` raises passes through; a source that is shorter or longer than its size raises
        `SourceChanged`. An upload that makes no headway for the read timeout ends as `OutcomeUnknown`.
        """
        part = FilePart(source, filename, content_type, self._sent(on_progress))
        return await self._create(
            "create_asset_direct", _form(self._fields("direct", filename, mark, request_id), part)
        )

    def _fields(self, method: str, filename: str, mark: AssetMark, request_id: str) -> list[tuple[str, str]]:
        metadata = mark.metadata(self._secret) | {"request_id": request_id}
        # Renditions and thumbnails are on by default at the platform, and of no use to an analysis.
        return [
            ("method", method),
            ("filename", filename),
            ("enable_hls", "false"),
            ("enable_thumbnail", "false"),
            ("user_metadata", json_call(metadata).decode()),
        ]

    def _sent(self, on_progress: Callable[[int], None] | None) -> Callable[[int, int], None]:
        def sent(total: int, chunk: int) -> None:
            self._metrics.upload_bytes.inc(chunk)
            if on_progress is not None:
                on_progress(total)

        return sent

    async def _create(self, operation: str, form: Form) -> Asset:
        limit = self._settings.upload_timeout_seconds
        call = Call(
            operation=operation,
            method="POST",
            path="assets",
            category="upload",
            read_seconds=limit,
            headers={"content-type": form.content_type, "content-length": str(form.length)},
            content=form,
        )
        headway = form.headway = Headway(self._settings.read_timeout_seconds, limit)
        async with aclosing(form):
            try:
                async with headway.timer, self._exchange(self._uploads, call) as response:
                    return self._asset(await self._object(response, call.max_bytes))
            except TimeoutError:
                raise OutcomeUnknown("the platform stopped taking the upload, or it took too long") from None
            except PlatformError:
                if form.failure is not None:  # the body could not be made: that is the cause, not the connection
                    raise form.failure from None
                raise

    async def get_asset(self, asset_id: str) -> Asset:
        """The asset as it is now. `NotFound` when the platform has it no longer."""
        return self._asset(await self._ask(self._read_call("get_asset", f"assets/{escaped(asset_id)}")))

    async def find_assets(self, token: str, mark: AssetMark, *, created_after: float) -> list[Asset]:
        """All assets that carry `mark`, proven, with `token` in their name, created after a moment; newest first.

        The name only narrows the list: the platform can't be asked for metadata. Raises `SearchIncomplete` when the
        list can't be read to its end.
        """
        found: list[Asset] = []

        async def read(number: int) -> Page:
            return await self._page("list_assets", "assets", [("filename", token)], number)

        async def visit(row: Row) -> bool:
            try:
                asset = self._asset(row)
            except OutcomeUnknown:
                return False  # without a status there is nothing to be done with it
            if asset.proven and asset.mark == mark:
                found.append(asset)
            return False

        def oldest() -> float:
            return self._platform_time(created_after)

        walk = Walk(read, self._asset_id, self._asset_created, oldest, every_row=False)
        await walk.run(visit)
        if not walk.complete:
            raise SearchIncomplete("the platform's list of assets could not be read to its end")
        return found

    async def owned_assets(self, owner: str) -> list[Asset]:
        """Every asset of the account that carries a proven mark of this deployment; newest first.

        Raises `SearchIncomplete` when the list can't be read to its end.
        """
        found: list[Asset] = []
        for number in range(1, _MOST_PAGES + 1):
            page = await self._page("list_assets", "assets", (), number)
            for row in page.rows:
                try:
                    asset = self._asset(row)
                except OutcomeUnknown:
                    continue  # without a status there is nothing to be done with it
                if asset.proven and asset.mark is not None and asset.mark.owner == owner:
                    found.append(asset)
            if not page.rows and not page.unreadable and not page.more_promised:
                return found
        raise SearchIncomplete("the platform's list of assets could not be read to its end")

    async def delete_asset(self, asset_id: str) -> bool:
        """Delete an asset, unless the platform says that something there needs it: then False. Gone is deleted."""
        call = Call(
            operation="delete_asset",
            method="DELETE",
            path=f"assets/{escaped(asset_id)}",
            category="read",
            read_seconds=self._settings.read_timeout_seconds,
        )
        try:
            async with self._exchange(self._control, call):
                return True
        except NotFound:
            return True
        except Conflict:
            return False

    def _asset(self, body: dict[str, Any]) -> Asset:
        """An asset from any answer that holds one. Without id or status the answer says nothing: `OutcomeUnknown`."""
        reader = self._reader
        asset_id, status = self._asset_id(body), reader.short_text(body.get("status"), "status")
        if asset_id is None or status is None:
            raise OutcomeUnknown("the platform's answer holds no asset")
        mark, proven = mark_of(body.get("user_metadata"), self._secret)
        return Asset(
            id=asset_id,
            status=status,
            duration=reader.seconds(body.get("duration"), "duration"),
            size=reader.count(body.get("size"), "size"),
            error_message=reader.warning(body)[1],
            created_at=self._asset_created(body),
            mark=mark,
            proven=proven,
            method=reader.short_text(body.get("method"), "method"),
        )

    def _asset_id(self, row: Mapping[str, Any]) -> str | None:
        return self._reader.short_text(row.get("_id"), "_id")

    def _asset_created(self, row: Mapping[str, Any]) -> float | None:
        return self._reader.instant(row.get("created_at"), "created_at")


def _form(fields: list[tuple[str, str]], part: FilePart | None) -> Form:
    try:
        return Form(fields, part)
    except UnicodeEncodeError:
        raise Unsendable("the address or name of the video holds half of a character and can't be sent") from None
