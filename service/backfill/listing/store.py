"""The lazy listing of a place in an object store. A listing that breaks off goes on behind its last object."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, UnauthenticatedError

from service.backfill.errors import ArchiveUnreadable
from service.backfill.listing.left_out import LeftOut
from service.backfill.listing.selection import Found
from service.footage.names import escaped, has_controls
from service.footage.objects.location import Scheme
from service.footage.objects.stores import Store, store_of

if TYPE_CHECKING:
    from obstore import ObjectMeta

_CHUNK = 1_000
"""Objects of one call, as many as the stores give. Only these are in memory."""
_TRIES = 5
_PAUSE_SECONDS = 2.0
_BAD_NAME = re.compile(r'Path "(.{1,1100}?)"(?: contained|: Encountered)', re.DOTALL)
_FAILURES = (BaseError, OSError, ValueError)


class StoreArchive:
    """The objects below a prefix, which ends where a part of a key ends; or the one object of that name."""

    def __init__(self, scheme: Scheme, bucket: str, prefix: str, timeout_seconds: float) -> None:
        self._scheme: Scheme = scheme
        self._bucket = bucket
        self._prefix = prefix
        self._seconds = timeout_seconds
        self._place = f"{scheme}://{bucket}"

    @property
    def name(self) -> str:
        """The place without a slash at its end."""
        return f"{self._place}/{self._prefix}" if self._prefix else self._place

    async def objects(self, left_out: LeftOut | None = None) -> AsyncIterator[Found]:
        """Everything below the prefix, in the store's own order, which is that of the names' bytes."""
        try:
            store = store_of(self._scheme, self._bucket, self._seconds)
        except _FAILURES as error:
            raise self._unreadable(error) from None
        passed_over = LeftOut() if left_out is None else left_out
        last: str | None = None
        ordered, tries = True, 0
        while True:
            try:
                async for chunk in self._chunks(store, last):
                    tries = 0
                    for meta in chunk:
                        key = meta["path"]
                        ordered = ordered and (last is None or key.encode() > last.encode())
                        last = key
                        if has_controls(key):
                            passed_over.add_name(f"{self._place}/{key}")
                        else:
                            yield self._found(meta)
                break
            except _FAILURES as error:
                tries += 1
                if tries >= _TRIES or not ordered or not _may_pass(error):
                    raise self._unreadable(error) from None
            await asyncio.sleep(_PAUSE_SECONDS * tries)
        if last is None and self._prefix:
            async for one in self._only(store):
                yield one

    async def _chunks(self, store: Store, after: str | None) -> AsyncIterator[Sequence[ObjectMeta]]:
        async for chunk in obstore.list(store, self._prefix or None, offset=after, chunk_size=_CHUNK):
            yield chunk

    async def _only(self, store: Store) -> AsyncIterator[Found]:
        try:
            yield self._found(await obstore.head_async(store, self._prefix))
        except FileNotFoundError:
            return
        except _FAILURES as error:
            raise self._unreadable(error) from None

    def _found(self, meta: ObjectMeta) -> Found:
        key, changed = meta["path"], meta["last_modified"]
        below = key[len(self._prefix) + 1 :] if self._prefix and key != self._prefix else key
        return Found(
            uri=f"{self._place}/{key}",
            relative=below,
            size=meta["size"],
            version=meta["e_tag"] or f"{changed.isoformat()}/{meta['size']}",
            changed=changed.timestamp(),
        )

    def _unreadable(self, error: Exception) -> ArchiveUnreadable:
        """What an error of the store means. Its own text is not passed on: it quotes requests and their signatures."""
        match error:
            case _ if _denied(error):
                why = "access is denied; grant this command the right to list the bucket"
            case UnauthenticatedError():
                why = "the store refuses the credentials; give others in the environment"
            case _ if _no_bucket(error):
                why = "there is no such bucket"
            case InvalidPathError():
                named = _BAD_NAME.search(str(error))
                which = f"the name {escaped(named[1])}" if named else "the name of an object in it"
                what = "an empty part, '.' or '..' between slashes"
                if named is None:
                    what += ", or a control character"
                elif has_controls(named[1]):
                    what = "a control character"
                why = (
                    f"{which} has {what}; no request may name such an object, and the listing does not go past it: "
                    "rename it, or name a prefix that does not hold it"
                )
            case _ if "redirect" in str(error).lower():
                why = "the bucket is in another region; set AWS_REGION"
            case _:
                why = "the store can't be reached or gives no answer of use; check credentials and endpoint"
        return ArchiveUnreadable(f"{self.name} can't be listed: {why}")


def _may_pass(error: Exception) -> bool:
    refused = UnauthenticatedError | InvalidPathError | ValueError
    return not isinstance(error, refused) and not _denied(error) and not _no_bucket(error)


def _denied(error: Exception) -> bool:
    """A listing that is refused is an error without a kind of its own: only its text has the status."""
    return isinstance(error, PermissionDeniedError) or "status code: 403" in str(error)


def _no_bucket(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or "404 Not Found" in str(error)
