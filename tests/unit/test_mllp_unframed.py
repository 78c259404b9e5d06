"""Messages without frame or without end, taken only where a listener says so."""

import pytest

from engine.connectors.mllp.wire import Fault, Frame, Framer, framed

MESSAGE = b"MSH|^~\\&|HIS\rPID|1\r"


def framer(*, limit: int = 5000, unframed: bool = True, eof: bool = False) -> Framer:
    return Framer(limit_bytes=limit, junk_bytes=1024, allow_unframed=unframed, accept_eof_as_end=eof)


def run(of: Framer, *chunks: bytes) -> list[Frame | Fault]:
    return [event for chunk in chunks for event in of.feed(chunk)]


def codes(events: list[Frame | Fault]) -> list[str]:
    return [event.error.code if isinstance(event, Fault) else "frame" for event in events]


@pytest.mark.parametrize("start", [b"MSH", b"FHS", b"BHS"])
def test_a_message_without_frame_closes_the_connection_unless_allowed(start: bytes) -> None:
    assert codes(run(framer(unframed=False), start + b"|^~\\&|")) == ["MLLP-101"]


@pytest.mark.parametrize("before", [b"", b"\r\n", b" \0\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_it_ends_where_nothing_comes_any_more(before: bytes, size: int) -> None:
    taking = framer()
    stream = before + MESSAGE

    assert run(taking, *(stream[i : i + size] for i in range(0, len(stream), size))) == []
    assert taking.is_unframed
    assert list(taking.gap()) == [Frame(MESSAGE)]
    assert not taking.is_open
    assert list(taking.gap()) == []


@pytest.mark.parametrize("cut", range(len(MESSAGE) + 3))
def test_it_ends_at_its_end_block(cut: int) -> None:
    stream = MESSAGE + b"\x1c\r" + framed(MESSAGE)
    assert run(framer(), stream[:cut], stream[cut:]) == [Frame(MESSAGE), Frame(MESSAGE)]


@pytest.mark.parametrize("cut", range(len(MESSAGE) + 3))
def test_it_ends_where_a_frame_begins(cut: int) -> None:
    taking = framer()
    stream = MESSAGE + framed(MESSAGE) + MESSAGE
    assert run(taking, stream[:cut], stream[cut:]) == [Frame(MESSAGE), Frame(MESSAGE)]
    assert list(taking.gap()) == [Frame(MESSAGE)]


def test_it_ends_with_the_stream() -> None:
    taking = framer()
    run(taking, MESSAGE)
    assert list(taking.finish()) == [Frame(MESSAGE)]


def test_a_gap_inside_a_frame_ends_nothing() -> None:
    taking = framer()
    run(taking, b"\x0b" + MESSAGE)
    assert list(taking.gap()) == []
    assert taking.is_open


def test_a_frame_after_an_unframed_message_is_a_frame_again() -> None:
    taking = framer()
    run(taking, MESSAGE + b"\x1c\x0bMSH|")
    assert not taking.is_unframed
    assert codes(list(taking.finish())) == ["MLLP-107"]


def test_other_junk_is_still_counted() -> None:
    assert codes(run(framer(), b"x" * 1025)) == ["MLLP-101"]
    assert codes(run(framer(), b"MSA" + b"x" * 1022)) == ["MLLP-101"]


def test_it_may_be_as_long_as_a_frame_and_no_longer() -> None:
    taking = framer(limit=4000)
    assert run(taking, b"MSH" + b"x" * 3997) == []
    (fault,) = run(taking, b"x")
    assert isinstance(fault, Fault)
    assert (fault.error.code, fault.answer, fault.close) == ("MLLP-102", True, True)


def test_too_long_is_too_long_also_where_a_frame_follows() -> None:
    assert codes(run(framer(limit=10), MESSAGE + framed(MESSAGE))) == ["MLLP-102"]


@pytest.mark.parametrize(
    ("body", "outcome"),
    [(MESSAGE, "frame"), (MESSAGE[:-1], "MLLP-107"), (b"PID|1\r", "MLLP-107")],
)
def test_the_end_of_the_stream_ends_a_whole_message_where_that_is_accepted(body: bytes, outcome: str) -> None:
    taking = framer(unframed=False, eof=True)
    run(taking, b"\x0b" + body)
    assert codes(list(taking.finish())) == [outcome]


def test_the_end_of_the_stream_ends_nothing_by_default() -> None:
    taking = framer(unframed=False)
    run(taking, b"\x0b" + MESSAGE)
    assert codes(list(taking.finish())) == ["MLLP-107"]
