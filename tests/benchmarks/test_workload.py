import orjson

from benchmarks.latency import spread
from benchmarks.workload import FRAGMENT_CHARS, Workload, now_us, script_of, text_line, written_us


def test_a_stream_is_told_by_its_prompt() -> None:
    work = Workload(jobs=3, lines=250, rate=12.5, at_once=2)
    assert script_of(work.prompt()) == (250, 12.5)
    assert orjson.loads(work.request("a"))["prompt"] == work.prompt()


def test_a_line_tells_when_it_was_written_also_when_it_was_joined_with_others() -> None:
    before = now_us()
    texts = [orjson.loads(text_line())["text"] for _ in range(3)]
    written = written_us("".join(texts))
    assert [len(text) for text in texts] == [FRAGMENT_CHARS] * 3
    assert before <= written[0] <= written[1] <= written[2] <= now_us()


def test_lateness_is_given_in_milliseconds_and_the_worst_with_its_time() -> None:
    seen = [(1_000_000 + at * 10_000, 1_000_000 + at * 10_000 + 2_000) for at in range(99)] + [(5_000_000, 5_300_000)]
    assert spread(seen) == {"count": 100, "p50": 2.0, "p99": 300.0, "max": 300.0, "worst_at": 4.0}
