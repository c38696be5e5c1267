"""How much text fits into an analysis: the prompt, and what is left of the context window for the answer."""

from __future__ import annotations

import json

from service.emulator.analysis.analysis_request import AnalysisRequest
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.refusals import Refusal

CONTEXT_TOKENS = 261_120
"""Of pegasus1.5, input and output together. What it is for pegasus1.6 was not published; the same is assumed."""
CHARACTERS_PER_TOKEN = 4


def prompt_tokens(request: AnalysisRequest) -> int:
    """Tokens of the instructions: the prompt, and the schema or definitions. The video is not counted."""
    schema = len(json.dumps(request.schema)) if request.schema is not None else 0
    return (len(request.prompt) + schema) // CHARACTERS_PER_TOKEN + 1


def answer_tokens(request: AnalysisRequest) -> int:
    """What the context window leaves for the text."""
    return max(0, CONTEXT_TOKENS - prompt_tokens(request))


@behaves(
    "analysis.prompt_length",
    "A prompt may fill the context window of 261,120 tokens (counted as four characters); beyond it is "
    "400 `token_limit_exceeded`.",
    KnownFrom.DOCUMENTED,
    test="http/test_waiting_assets.py::test_a_prompt_of_more_than_2000_tokens_is_taken_up_to_the_context_window",
    on=(
        "analyze_stream",
        "analyze_sync",
        "task_create",
    ),
)
def check_prompt(request: AnalysisRequest, limit_tokens: int | None) -> None:
    """Refuse a prompt that is longer than the context window, or than `limit_tokens`; raises `Refusal`."""
    limit = CONTEXT_TOKENS if limit_tokens is None else min(limit_tokens, CONTEXT_TOKENS)
    if (tokens := prompt_tokens(request)) > limit:
        raise Refusal(400, "token_limit_exceeded", f"The prompt has about {tokens} tokens; at most {limit} fit.")
