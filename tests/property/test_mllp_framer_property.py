"""Whatever the stream and however it is cut: the same events, nothing unforeseen, nothing lost."""

from hypothesis import given
from hypothesis import strategies as st

from engine.connectors.mllp.wire import EndBlock, Fault, Frame, Framer, framed

BODIES = st.binary(min_size=1, max_size=40).filter(
    lambda b: not set(b) & {0x0B, 0x1C} and b.strip(b" \t\r\n\0") and b not in (b"\x06", b"\x15")
)
HOSTILE = st.lists(
    st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"MSH|", b"x", b"\x0bMSH|a\r\x1c\r", b"PID|\r"]), max_size=40
).map(b"".join)


def events_of(chunks: list[bytes], end_block: EndBlock) -> list[Frame | Fault]:
    framer = Framer(limit_bytes=30, junk_bytes=20, end_block=end_block)
    events = [event for chunk in chunks for event in framer.feed(chunk)]
    assert framer.open_bytes <= 30
    return events + list(framer.finish())


def told(events: list[Frame | Fault]) -> list[tuple[str, bytes, bool, bool]]:
    """What events say; start blocks that follow each other in one chunk are told once."""
    said: list[tuple[str, bytes, bool, bool]] = []
    for e in events:
        one = (e.error.code, e.body, e.answer, e.close) if isinstance(e, Fault) else ("frame", e.body, True, False)
        if one[0] != "MLLP-104" or not said or said[-1] != one:
            said.append(one)
    return said


@given(st.lists(BODIES, max_size=8), st.lists(st.integers(1, 30), max_size=20))
def test_bodies_come_out_as_they_went_in(bodies: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(map(framed, bodies))
    framer = Framer(limit_bytes=100)
    out = []
    for size in [*sizes, len(stream)]:
        out += list(framer.feed(stream[:size]))
        stream = stream[size:]
    assert out == [Frame(body) for body in bodies]


@given(HOSTILE, st.lists(st.integers(1, 12), max_size=30), st.sampled_from(["strict", "lenient"]))
def test_cutting_a_stream_elsewhere_changes_nothing(stream: bytes, sizes: list[int], end_block: EndBlock) -> None:
    chunks, rest = [], stream
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]

    one, many = events_of([stream], end_block), events_of([*chunks, rest], end_block)

    assert told(one) == told(many)
    assert sum(isinstance(e, Fault) and e.close for e in one) <= 1
