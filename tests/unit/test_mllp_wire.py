"""The framer, fed by hand: every row of the framing table with its exact text."""

import pytest

from engine.connectors.mllp.wire import EndBlock, Fault, Frame, Framer, framed
from engine.core.outcomes import outcome_of

MESSAGE = b"MSH|^~\\&|HIS\rPID|1\r"


def run(*chunks: bytes, limit: int = 100, end_block: EndBlock = "strict", eof: bool = False) -> list[Frame | Fault]:
    framer = Framer(limit_bytes=limit, junk_bytes=1024, end_block=end_block)
    events = [event for chunk in chunks for event in framer.feed(chunk)]
    return events + (list(framer.finish()) if eof else [])


def codes(events: list[Frame | Fault]) -> list[str]:
    return [event.error.code if isinstance(event, Fault) else "frame" for event in events]


def test_one_frame_in_one_chunk() -> None:
    assert run(framed(MESSAGE)) == [Frame(MESSAGE)]


def test_two_frames_in_one_read_come_in_order() -> None:
    assert run(framed(b"MSH|1\r") + framed(b"MSH|2\r")) == [Frame(b"MSH|1\r"), Frame(b"MSH|2\r")]


@pytest.mark.parametrize("cut", range(len(framed(MESSAGE) * 2) + 1))
def test_a_stream_may_be_split_anywhere(cut: int) -> None:
    stream = framed(MESSAGE) * 2
    assert run(stream[:cut], stream[cut:]) == [Frame(MESSAGE)] * 2


def test_a_stream_may_come_byte_by_byte() -> None:
    stream = b"\r\n" + framed(MESSAGE) + b"\r\n" + framed(MESSAGE)
    assert run(*(bytes([byte]) for byte in stream)) == [Frame(MESSAGE)] * 2


@pytest.mark.parametrize("size", [99, 100])
def test_a_body_up_to_the_limit_is_taken(size: int) -> None:
    assert run(framed(b"x" * size)) == [Frame(b"x" * size)]


@pytest.mark.parametrize("chunks", [(framed(b"x" * 101),), (b"\x0b" + b"x" * 60, b"x" * 60)])
def test_a_body_over_the_limit_is_answered_and_the_stream_closed(chunks: tuple[bytes, ...]) -> None:
    (fault,) = run(*chunks, framed(MESSAGE))
    assert isinstance(fault, Fault)
    assert (fault.error.code, fault.error.text) == ("MLLP-102", "message longer than 100 bytes")
    assert fault.answer
    assert fault.close
    assert fault.body == b"x" * 100
    assert outcome_of(fault.error.code).hl7 == 207


def test_up_to_1024_bytes_between_frames_are_ignored() -> None:
    assert run(b"\r" * 1024 + framed(MESSAGE)) == [Frame(MESSAGE)]


@pytest.mark.parametrize("chunks", [(b"x" * 1025,), (b"x" * 1000, b"x" * 25), (b"\r" * 1025 + framed(MESSAGE),)])
def test_more_than_1024_bytes_between_frames_close_without_answer(chunks: tuple[bytes, ...]) -> None:
    (fault,) = run(*chunks)
    assert isinstance(fault, Fault)
    assert (fault.error.code, fault.answer, fault.close) == ("MLLP-101", False, True)


def test_junk_is_counted_anew_after_each_frame() -> None:
    gap = b"\r" * 600
    assert run(gap + framed(MESSAGE) + gap + framed(MESSAGE)) == [Frame(MESSAGE)] * 2


@pytest.mark.parametrize("chunks", [(b"MSH|^~\\&|",), (b"\r\nM", b"SH|"), (b"FHS|",), (b"BHS|",)])
def test_a_message_without_start_block_closes(chunks: tuple[bytes, ...]) -> None:
    assert codes(run(*chunks)) == ["MLLP-101"]


@pytest.mark.parametrize("after", [b"x", b"\n", b"\x1c"])
def test_a_stray_end_byte_is_refused_when_strict(after: bytes) -> None:
    (fault,) = run(b"\x0b" + MESSAGE + b"\x1c" + after + b"rest\x1c\r")
    assert isinstance(fault, Fault)
    assert (fault.error.code, fault.error.text) == ("MLLP-103", "end block must be 1C 0D")
    assert fault.answer
    assert fault.close
    assert fault.body == MESSAGE


def test_a_missing_final_cr_is_taken_when_lenient() -> None:
    assert run(b"\x0b" + MESSAGE + b"\x1c\n" + framed(MESSAGE), end_block="lenient") == [Frame(MESSAGE)] * 2


def test_a_message_cut_short_is_refused_when_lenient_too() -> None:
    assert codes(run(b"\x0bMSH|half\x1cof it", end_block="lenient")) == ["MLLP-103"]


def test_a_start_block_right_after_1c_begins_the_next_frame() -> None:
    assert run(b"\x0b" + MESSAGE + b"\x1c" + framed(MESSAGE)) == [Frame(MESSAGE)] * 2


@pytest.mark.parametrize("chunks", [(b"\x0bMSH|cut\r" + framed(MESSAGE),), (b"\x0bMSH|cut\r", framed(MESSAGE))])
def test_a_second_start_block_drops_the_cut_part(chunks: tuple[bytes, ...]) -> None:
    events = run(*chunks)
    assert codes(events) == ["MLLP-104", "frame"]
    assert events[1] == Frame(MESSAGE)
    assert isinstance(events[0], Fault)
    assert not events[0].close
    assert str(events[0].error) == "MLLP-104: start block inside a frame after 8 bytes"


@pytest.mark.parametrize("body", [b"", b"\r", b" \r\n\0"])
def test_an_empty_body_is_answered_and_the_stream_goes_on(body: bytes) -> None:
    fault, frame = run(framed(body) + framed(MESSAGE))
    assert isinstance(fault, Fault)
    assert (fault.error.code, fault.error.text, fault.answer, fault.close) == ("MLLP-105", "empty message", True, False)
    assert frame == Frame(MESSAGE)


@pytest.mark.parametrize("block", [b"\x06", b"\x15"])
def test_commit_blocks_of_release_2_are_skipped(block: bytes) -> None:
    assert run(framed(block) + framed(MESSAGE)) == [Frame(MESSAGE)]


def test_end_of_stream_inside_a_frame_discards_the_part() -> None:
    (fault,) = run(b"\x0bMSH|", eof=True)
    assert isinstance(fault, Fault)
    assert (fault.error.code, fault.answer, fault.body) == ("MLLP-107", False, b"")


def test_end_of_stream_after_1c() -> None:
    assert codes(run(b"\x0b" + MESSAGE + b"\x1c", eof=True)) == ["MLLP-103"]
    assert run(b"\x0b" + MESSAGE + b"\x1c", eof=True, end_block="lenient") == [Frame(MESSAGE)]


def test_end_of_stream_between_frames_is_quiet() -> None:
    assert run(framed(MESSAGE) + b"\r\n", eof=True) == [Frame(MESSAGE)]
    assert run(eof=True) == []


def test_open_bytes_tell_how_much_is_held() -> None:
    framer = Framer(limit_bytes=100)
    assert list(framer.feed(b"\x0b12345")) == []
    assert (framer.is_open, framer.open_bytes) == (True, 5)
    assert list(framer.feed(b"\x1c\r")) == [Frame(b"12345")]
    assert (framer.is_open, framer.open_bytes) == (False, 0)
