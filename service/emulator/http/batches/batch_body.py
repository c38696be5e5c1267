"""The body of a new batch: each item with what it takes over from `defaults`, as the body of a task."""

from __future__ import annotations

from typing import Any

from service.emulator.analysis.analysis_request import AnalysisRequest, parse_analysis
from service.emulator.analysis.context_window import check_prompt
from service.emulator.options import EmulatorOptions
from service.emulator.parameters import Parameters
from service.emulator.refusals import invalid, missing

MOST_ITEMS = 1_000
_MODEL = "pegasus1.5"
_DEFAULTS = frozenset(
    {
        "prompt",
        "response_format",
        "temperature",
        "max_tokens",
        "min_segment_duration",
        "max_segment_duration",
        "start_time",
        "end_time",
    }
)
_ITEM = _DEFAULTS | {"video", "custom_id"}


def parse_batch(body: Any, options: EmulatorOptions) -> tuple[list[tuple[AnalysisRequest, dict[str, Any]]], str, str]:
    """The items, the mode and the model. Raises `Refusal` for the first thing that is wrong."""
    given = Parameters(body)
    if options.strict_parameters:
        given.only(frozenset({"model_name", "analysis_mode", "requests", "defaults"}))
    model = given.text("model_name", required=True, choices=(_MODEL,)) or _MODEL
    mode = given.text("analysis_mode", required=True, choices=("general", "time_based_metadata")) or "general"
    defaults = given.object("defaults")
    if defaults is not None and options.strict_parameters:
        defaults.only(_DEFAULTS)
    common = {} if defaults is None else {name: body["defaults"].get(name) for name in _DEFAULTS}
    wanted = given.raw("requests")
    if wanted is None:
        raise missing("requests")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= MOST_ITEMS:
        raise invalid(f"The requests parameter must be a list of 1 to {MOST_ITEMS} requests.")
    items: list[tuple[AnalysisRequest, dict[str, Any]]] = []
    names: set[str] = set()
    for number, one in enumerate(wanted):
        if not isinstance(one, dict):
            raise invalid(f"The requests[{number}] parameter must be an object.")
        if options.strict_parameters:
            Parameters(one).only(_ITEM)
        task = _task_body(common | {name: one[name] for name in _ITEM if one.get(name) is not None}, number)
        task |= {"model_name": model, "analysis_mode": mode}
        request = parse_analysis(
            task, task=True, strict=options.strict_parameters, video_limit_bytes=options.inline_limit_bytes
        )
        check_prompt(request, options.prompt_limit_tokens)
        if request.custom_id is not None and request.custom_id in names:
            raise invalid(f"The custom_id parameter {request.custom_id} is used twice.")
        names.add(request.custom_id or "")
        items.append((request, task))
    return items, mode, model


def _task_body(item: dict[str, Any], number: int) -> dict[str, Any]:
    """An item as the body of a task. The prompt of a batch is an object."""
    item = {name: value for name, value in item.items() if value is not None}
    prompt = item.pop("prompt", None)
    if prompt is None:
        return item
    if not isinstance(prompt, dict):
        raise invalid(f"The requests[{number}].prompt parameter must be an object with input_text.")
    if prompt.get("media_sources"):
        return item | {"prompt_v2": prompt}
    return item | {"prompt": prompt.get("input_text")}
