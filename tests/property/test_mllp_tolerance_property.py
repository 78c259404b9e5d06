"""Whatever a listener tolerates: how the stream is cut into reads decides nothing."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from engine.connectors.mllp.wire import EndBlock, Frame, Framer

PIECES = [b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"MSH|", b"M", b"S", b"H|", b"FHS|", b" ", b"\x06", b"\n", b"x" * 9]


def outcome(
    chunks: list[bytes], end_block: EndBlock, *, allow_unframed: bool, accept_eof_as_end: bool
) -> list[bytes | str]:
    """Return bodies and codes, but not how often a start block came inside a frame: empty ones are not counted."""
    framer = Framer(
        limit_bytes=40,
        junk_bytes=20,
        end_block=end_block,
        allow_unframed=allow_unframed,
        accept_eof_as_end=accept_eof_as_end,
    )
    events = [event for chunk in chunks for event in framer.feed(chunk)] + list(framer.finish())
    seen: list[bytes | str] = [event.body if isinstance(event, Frame) else event.error.code for event in events]
    return [each for each in seen if each != "MLLP-104"]


@given(
    st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join),
    st.lists(st.integers(0, 100), max_size=4),
    st.sampled_from(["strict", "lenient"]),
    st.booleans(),
    st.booleans(),
)
def test_reads_may_be_cut_anywhere(stream: bytes, cuts: list[int], end_block: EndBlock, loose: bool, eof: bool) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    cut_up = [stream[begin:end] for begin, end in itertools.pairwise(edges)]
    single = [stream[at : at + 1] for at in range(len(stream))]

    whole = outcome([stream], end_block, allow_unframed=loose, accept_eof_as_end=eof)

    assert outcome(cut_up, end_block, allow_unframed=loose, accept_eof_as_end=eof) == whole
    assert outcome(single, end_block, allow_unframed=loose, accept_eof_as_end=eof) == whole
