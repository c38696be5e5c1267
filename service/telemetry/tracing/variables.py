"""OpenTelemetry's variables `OTEL_*`, checked before the SDK reads them: where one is wrong, it takes its default.

Which it reads, and as what: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/, and for
the units the SDK of Python. An empty value counts as not set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from service.errors import SettingsError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Where spans go; the first that is set counts."""

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
"""The samplers that the SDK has."""

_SAMPLER = "OTEL_TRACES_SAMPLER"
_RATIO = "OTEL_TRACES_SAMPLER_ARG"
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_QUEUE = "OTEL_BSP_MAX_QUEUE_SIZE"
_BATCH = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_DELAY = "OTEL_BSP_SCHEDULE_DELAY"
_PATIENCE = "OTEL_BSP_EXPORT_TIMEOUT"
_BATCHING = {
    _QUEUE: ("spans", 2048, 1),
    _BATCH: ("spans", 512, 1),
    _DELAY: ("milliseconds", 5000, 1),
    _PATIENCE: ("milliseconds", 30_000, 0),
}
"""The unit, the default and the smallest value of each."""
_LIMITS = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
)
_HTTP = re.compile(r"https?://[^/?#]", re.IGNORECASE)


def check_variables(environment: Mapping[str, str]) -> None:
    """Raises `SettingsError` for the first variable with a value that the SDK would not take as it is meant."""
    sampler_words(environment)
    queue, batch, *_ = batching(environment)
    if batch > queue:
        raise SettingsError(
            f"{_BATCH}: {batch} is more than {_QUEUE}, which is {queue}; set it to at most {queue}, or the queue higher"
        )
    for name in _LIMITS:
        if _given(environment, name):
            _whole(name, environment[name], 0, "set a whole number from 0, such as 128")
    if _given(environment, "OTEL_TRACES_EXPORTER").lower() not in ("", "otlp"):
        return
    for name in _TIMEOUTS:
        text = _given(environment, name)
        if text and not _number(text) > 0:
            raise SettingsError(f"{name}: {text[:40]} is no time in seconds; set a number above 0, such as 10")
    _check_endpoint(environment)


def sampler_words(environment: Mapping[str, str]) -> str:
    """The sampler by its OpenTelemetry name, with its ratio. Raises `SettingsError` for one that there is not."""
    sampler = _given(environment, _SAMPLER).lower() or "parentbased_always_on"
    if sampler not in SAMPLERS:
        raise SettingsError(f"{_SAMPLER}: {sampler[:40]} is not known here; set one of {', '.join(SAMPLERS)}")
    if not sampler.endswith("traceidratio"):
        return sampler
    ratio = _given(environment, _RATIO) or "1.0"
    if not 0 <= _number(ratio) <= 1:
        raise SettingsError(f"{_RATIO}: {ratio[:40]} is no ratio for {sampler}; set a number from 0 to 1, such as 0.1")
    return f"{sampler} {ratio}"


def batching(environment: Mapping[str, str]) -> tuple[int, int, int, int]:
    """Queue and batch in spans, delay and timeout in milliseconds. Raises `SettingsError` for any other value."""
    found = []
    for name, (unit, default, least) in _BATCHING.items():
        text = _given(environment, name)
        todo = f"set a whole number of {unit} from {least}, such as {default}"
        found.append(_whole(name, text, least, todo) if text else default)
    queue, batch, delay, patience = found
    if not _given(environment, _BATCH):
        batch = min(batch, queue)
    return queue, batch, delay, patience


def _check_endpoint(environment: Mapping[str, str]) -> None:
    name = next((one for one in ENDPOINTS if _given(environment, one)), None)
    if name is None:
        return
    text = environment[name]
    shown = re.split(r"[?#]", text.strip())[0].rpartition("://")[2].rpartition("@")[2]  # without scheme and password
    if not _HTTP.match(text):
        raise SettingsError(f"{name}: the address must begin with http:// or https://; write http://{shown[:200]}")
    try:
        usable = bool(urlsplit(text).hostname) and urlsplit(text).port != 0
    except ValueError:  # brackets that do not close, or a port that is no number
        usable = False
    if not usable:
        raise SettingsError(f"{name}: {shown[:200]} is no host and port; write it like http://collector:4318")


def _given(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "").strip()


def _number(text: str) -> float:
    """What a variable says; not a number (which no comparison takes) when it is none, or has no end."""
    try:
        found = float(text)
    except ValueError:
        return math.nan
    return found if math.isfinite(found) else math.nan


def _whole(name: str, text: str, least: int, todo: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = least - 1
    if found < least:
        raise SettingsError(f"{name}: {text.strip()[:40]} can't be used; {todo}")
    return found
