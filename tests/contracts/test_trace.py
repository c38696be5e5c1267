"""The trace context: W3C's rules, whatever the bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.headers import Header
from contracts.trace import MAX_STATE_CHARS, MAX_STATE_MEMBERS, Trace, trace_of

pytestmark = pytest.mark.unit

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def parent_of(*values: str | bytes | None) -> str | None:
    encoded = (value.encode() if isinstance(value, str) else value for value in values)
    return trace_of(tuple(("traceparent", value) for value in encoded), {}).traceparent


def state_of(*values: str) -> str | None:
    return trace_of((("traceparent", PARENT.encode()), *((b"tracestate", v.encode()) for v in values)), {}).tracestate


@pytest.mark.parametrize(
    "value",
    [
        f"{PARENT}-more",
        f"{PARENT}-",
        f"{PARENT}.",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"cc-{'0' * 32}-{SPAN}-01-what",
        PARENT.upper(),
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"cc-{TRACE}-{SPAN}-01" + "-a" * 5_000,
        f"00-{TRACE}_{SPAN}-01",
        PARENT + "\n",
        PARENT + "\x00",
        "",
        "ü",
        b"\xff\xfe",
        None,
    ],
)
def test_a_parent_that_breaks_the_rules_is_dropped_with_its_state(value: str | bytes | None) -> None:
    assert parent_of(value) is None
    raw = value.encode() if isinstance(value, str) else value
    assert trace_of((("traceparent", raw), ("tracestate", b"a=1")), {}) == Trace(None, None)


@pytest.mark.parametrize(
    ("value", "handed_on"),
    [
        (PARENT, PARENT),
        (f" \t{PARENT} ", PARENT),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-ff"),
        (f"01-{TRACE}-{SPAN}-01", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-what the future will be like", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-", PARENT),
        (f"fe-{TRACE}-{SPAN}-f0", f"00-{TRACE}-{SPAN}-00"),
    ],
)
def test_a_parent_is_handed_on_and_a_higher_version_as_the_one_known_here(value: str, handed_on: str) -> None:
    assert parent_of(value) == handed_on


def test_a_parent_that_is_there_twice_counts_when_both_are_the_same() -> None:
    other = f"00-{TRACE}-{'c' * 16}-01"

    assert parent_of(PARENT, PARENT) == PARENT
    assert parent_of(PARENT, other) is None
    assert parent_of(PARENT, None) is None


def test_several_states_are_one_list_in_order() -> None:
    assert state_of("foo=1", "bar=2") == "foo=1,bar=2"
    assert state_of("foo=1,bar=2", "rojo=1", "", " congo=2 ,\t, baz=3") == "foo=1,bar=2,rojo=1,congo=2,baz=3"


@pytest.mark.parametrize(
    "bad",
    ["foo", "foo =1", "FOO=1", "foo.bar=1", "foo@=1", "@foo=1", "foo@@bar=1", "foo@bar@baz=1", "1foo=1", "=1", "foo=",
     "foo=1=2", "foo=ü", "foo=a\x00b", "foo=\x7f", f"{'z' * 257}=1", f"foo={'v' * 257}", f"{'t' * 242}@v=1",
     f"t@{'v' * 15}=1", "foo=a\nb"],
)  # fmt: skip
def test_a_bad_member_is_dropped_alone(bad: str) -> None:
    assert state_of(f"before=1,{bad},after=2") == "before=1,after=2"
    assert state_of(bad) is None


@pytest.mark.parametrize(
    "good",
    ["foo=1", "a=b", "t61rcwkgmzeabcd@vendor=00f067aa0ba902b7", "0tenant@sys=1", "a/b*c_d-e=~!#$", "foo= 1", "foo=a b",
     f"{'z' * 256}=1", f"foo={'v' * 256}", f"{'t' * 241}@{'v' * 14}=1"],
)  # fmt: skip
def test_a_good_member_is_kept_as_it_is(good: str) -> None:
    assert state_of(good) == good


def test_a_key_counts_once_the_first_time() -> None:
    assert state_of("foo=1,bar=2,foo=3", "bar=4") == "foo=1,bar=2"


def test_at_most_32_members_are_kept_from_the_front() -> None:
    state = state_of(",".join(f"k{n}={n}" for n in range(40)))

    assert state == ",".join(f"k{n}={n}" for n in range(MAX_STATE_MEMBERS))


def test_what_is_too_long_goes_long_members_first_and_then_from_the_end() -> None:
    long, short = f"long={'v' * 200}", [f"k{n}={'v' * 96}" for n in range(1, 5)]

    assert state_of(",".join([long, *short])) == ",".join(short)
    assert state_of(",".join([*short, "k5=" + "v" * 120, "k6=1"])) == ",".join([*short])
    assert state_of(f"first={'v' * 250},second={'v' * 240}") == f"first={'v' * 250},second={'v' * 240}"


@given(st.lists(st.text("ab=, \t@1Aü\x00", max_size=40), max_size=60))
def test_whatever_comes_the_state_handed_on_is_a_fixed_point(values: list[str]) -> None:
    state = state_of(*values)

    if state is not None:
        assert len(state) <= MAX_STATE_CHARS
        assert state_of(state) == state


NAMES = st.sampled_from(["traceparent", b"TraceParent", "tracestate", b"ce-traceparent", "ce_tracestate"])


@given(
    st.lists(st.tuples(NAMES | st.text() | st.binary(), st.none() | st.binary() | st.just(PARENT.encode()))),
    st.dictionaries(st.sampled_from(["traceparent", "tracestate"]), st.none() | st.integers() | st.text()),
)
def test_no_bytes_raise(headers: list[Header], attributes: dict[str, object]) -> None:
    trace = trace_of(headers, attributes)

    assert trace.traceparent is not None or trace.tracestate is None


@pytest.mark.parametrize("prefix", ["", "ce_", "ce-", "CE-"])
@pytest.mark.parametrize("binary", [False, True])
def test_the_extension_is_read_with_either_prefix_and_names_in_either_form(prefix: str, binary: bool) -> None:
    def named(name: str) -> str | bytes:
        return (prefix + name).encode() if binary else prefix + name

    headers = ((named("traceparent"), PARENT.encode()), (named("tracestate"), b"a=1"))

    assert trace_of(headers, {}) == Trace(PARENT, "a=1")


def test_after_an_unusable_parent_the_next_names_are_tried() -> None:
    headers = (("traceparent", b"nonsense"), ("tracestate", b"x=1"), ("ce_traceparent", PARENT.encode()))

    assert trace_of(headers, {}) == Trace(PARENT, None)
    assert trace_of(headers[:2], {"traceparent": PARENT, "tracestate": "b=2"}) == Trace(PARENT, "b=2")
