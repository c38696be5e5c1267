"""Which assets of the account are ours, and for whom: a mark in the asset's `user_metadata`.

A file name is chosen by whoever sends the video, so it proves nothing. The mark names the content, this deployment and
(where assets are kept apart) the tenant, and carries a code made with the API key, so that nobody else can write one.
After a change of the key, older marks are not proven any more: such an asset is uploaded once more when it is missing
from the assets topic, which is the only place besides the mark where it is remembered.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_IDENTITY, _OWNER, _TENANT, _PROOF = "reelwire", "reelwire_owner", "reelwire_tenant", "reelwire_proof"
_STAMP = "reelwire_stamp"
_MAX_CHARS = 512


@dataclass(frozen=True, slots=True)
class AssetMark:
    """Who made an asset, and of what."""

    identity: str
    """Hex SHA-256 of what names the content."""
    owner: str
    """The deployment, by its consumer group."""
    tenant: str | None = None
    """None: the asset is for every tenant of the deployment, or for requests without one."""
    stamp: str | None = field(default=None, compare=False)
    """Which file was uploaded and what it was then (`Footage.stamp`). It says nothing about whose the asset is."""

    def metadata(self, secret: str) -> dict[str, str]:
        """The members of `user_metadata` that hold this mark."""
        members = {_IDENTITY: self.identity, _OWNER: self.owner}
        if self.tenant is not None:
            members[_TENANT] = self.tenant
        if self.stamp is not None:
            members[_STAMP] = self.stamp
        return members | {_PROOF: self.proof(secret)}

    def proof(self, secret: str) -> str:
        """The code that only a holder of the API key can make."""
        parts = (self.identity, self.owner, "-" if self.tenant is None else f"+{self.tenant}")
        data = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def mark_of(metadata: object, secret: str) -> tuple[AssetMark | None, bool]:
    """The mark in an asset's `user_metadata`, if there is one, and whether it is proven by our key."""
    if not isinstance(metadata, Mapping) or not any(name in metadata for name in (_IDENTITY, _OWNER, _PROOF)):
        return None, False
    identity, owner = _text(metadata, _IDENTITY) or "", _text(metadata, _OWNER) or ""
    mark = AssetMark(identity, owner, _text(metadata, _TENANT), _text(metadata, _STAMP))
    proof = _text(metadata, _PROOF)
    right = mark.proof(secret).encode()
    return mark, proof is not None and hmac.compare_digest(proof.encode("utf-8", "replace"), right)


def _text(metadata: Mapping[Any, Any], name: str) -> str | None:
    value = metadata.get(name)
    return value if isinstance(value, str) and len(value) <= _MAX_CHARS else None
