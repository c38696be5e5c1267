"""Looks at the images of a request when it comes, as the platform does, and makes one content of those analysed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from contracts.platform_limits import IMAGE_INPUT_PIXELS
from service.emulator.analysis.analysis_request import AnalysisRequest
from service.emulator.analysis.pictures import Picture
from service.emulator.media.footage import Footage, Scene
from service.emulator.model.asset_book import AssetBook
from service.emulator.model.viewer import Viewer
from service.emulator.refusals import Refusal, invalid


class Pictures:
    """Knows where images come from. One per emulator."""

    def __init__(self, assets: AssetBook, viewer: Viewer, wait_seconds: float) -> None:
        self._assets = assets
        self._viewer = viewer
        self._wait_seconds = wait_seconds

    async def look(self, request: AnalysisRequest, *, unknown_status: int) -> Footage | None:
        """Check every image; the one content of those that are analysed, None for a video. Raises `Refusal`."""
        for picture in request.references:
            await self._image(picture, unknown_status)
        if not request.images:
            return None
        seen = [await self._image(picture, unknown_status) for picture in request.images]
        for picture, footage in zip(request.images, seen, strict=True):
            if footage.width * footage.height > IMAGE_INPUT_PIXELS:
                raise invalid(f"The {picture.named} parameter has more than {IMAGE_INPUT_PIXELS} pixels.")
        together = _together(request.images, seen)
        self._viewer.know(together)
        return together

    async def _image(self, picture: Picture, unknown_status: int) -> Footage:
        source = picture.source
        try:
            if source.type == "asset_id":
                footage = await self._assets.ready_footage(
                    source.value, unknown_status=unknown_status, wait_seconds=self._wait_seconds
                )
            elif source.type == "url":
                footage = await self._viewer.fetch(source.value)
            else:
                footage = await self._viewer.inspect(await self._viewer.decode(source.value))
        except Refusal as refusal:
            if source.type == "asset_id":
                raise
            raise invalid(f"The {picture.named} parameter is invalid: {refusal.message}") from None
        if footage.kind != "image":
            raise invalid(f"The {picture.named} parameter is invalid: the file is of kind {footage.kind}.")
        if footage.size > picture.limit_bytes:
            raise invalid(f"The {picture.named} parameter is larger than {picture.limit_bytes} bytes.")
        return footage


def _together(pictures: Sequence[Picture], seen: Sequence[Footage]) -> Footage:
    """One content whose scenes are the images in their order, a second each."""
    digest = hashlib.sha256()
    scenes = []
    for number, (picture, footage) in enumerate(zip(pictures, seen, strict=True)):
        digest.update(f"{picture.name}={footage.sha256};".encode())
        scene = footage.scenes[0] if footage.scenes else Scene(0.0, 0.0, 0.5, 0.0, "grey", None)
        scenes.append(replace(scene, start=float(number), end=float(number + 1)))
    size = sum(footage.size for footage in seen)
    return replace(seen[0], sha256=digest.hexdigest(), size=size, kind="image", duration=0.0, scenes=tuple(scenes))
