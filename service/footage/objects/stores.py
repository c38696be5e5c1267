"""The clients of the object stores, one for each bucket, and whether the platform can fetch from them by itself.

Endpoints and credentials are those of the environment, by the variables that each store's own tools read; without
any, those of the machine or pod are used (instance metadata, workload identity).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson
from obstore.store import AzureStore, GCSStore, S3Store

from service.footage.objects.location import Scheme

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

Store = S3Store | GCSStore | AzureStore

_ENDPOINTS: Mapping[Scheme, tuple[str, ...]] = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": (),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_INTERNAL = (".local", ".localhost", ".internal", ".lan", ".svc", ".intranet", ".home.arpa", ".corp")
_MAX_STORES = 256


def endpoint_of(scheme: Scheme) -> str | None:
    """The endpoint that the environment gives; None for the cloud's own. For `gs`, the service account names it."""
    if scheme == "gs":
        return _endpoint_of_account()
    return next((value for name in _ENDPOINTS[scheme] if (value := os.environ.get(name))), None)


def _endpoint_of_account() -> str | None:
    text = os.environ.get("GOOGLE_SERVICE_ACCOUNT_KEY", "")
    path = os.environ.get("GOOGLE_SERVICE_ACCOUNT") or os.environ.get("GOOGLE_SERVICE_ACCOUNT_PATH")
    try:
        account = orjson.loads(text or (Path(path).read_bytes() if path else b"{}"))
        return account.get("gcs_base_url") or None
    except (OSError, orjson.JSONDecodeError, AttributeError):
        return None  # the store itself says what is wrong with it


def is_public(endpoint: str | None) -> bool:
    """Whether somebody elsewhere can reach an endpoint, as far as its address tells. The cloud's own (None) is public.

    One without TLS counts as private: whatever is signed would travel in the clear.
    """
    if endpoint is None:
        return True
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme != "https" or ("." not in host and ":" not in host) or host.endswith(_INTERNAL):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True


def store_of(scheme: Scheme, bucket: str, seconds: float) -> Store:
    """The client of a bucket. `seconds` is the longest that one request may take. Raises `ValueError`."""
    return _store(scheme, bucket, seconds, endpoint_of(scheme))


@lru_cache(maxsize=_MAX_STORES)
def _store(scheme: Scheme, bucket: str, seconds: float, endpoint: str | None) -> Store:
    plain = endpoint is not None and endpoint.startswith("http://")
    client: ClientConfig = {
        "timeout": timedelta(seconds=seconds),
        "connect_timeout": timedelta(seconds=min(seconds, 10)),
        "allow_http": plain,
    }
    retry: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
    if scheme == "s3":
        return S3Store(bucket, client_options=client, retry_config=retry)
    if scheme == "gs":
        return GCSStore(bucket, client_options=client, retry_config=retry)
    return AzureStore(bucket, client_options=client, retry_config=retry)
