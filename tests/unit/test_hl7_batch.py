"""Several messages in one body come out one by one, byte for byte."""

import pytest

from engine.hl7.batch import build_batch_answer, read_batch, split

A, B = b"MSH|^~\\&|A\rPID|1\r", b"MSH#*~\\&#B\nPID#2\n"


def test_one_message_is_the_same_object() -> None:
    for body in (A, b"\xef\xbb\xbf" + A, b"\r\n" + A, b"", b"no message"):
        assert split(body)[0] is body


def test_messages_one_behind_the_other() -> None:
    assert split(A + B) == [A, B]
    assert split(b"\n" + A + b"\r\n" + B) == [A + b"\r\n", B]


def test_a_batch() -> None:
    body = b"FHS|^~\\&|F\rBHS|^~\\&|||||||||B7\r" + A + B + b"BTS|2\rFTS|1\r"
    batch = read_batch(body)
    assert batch.messages == (A, B)
    assert batch.envelope == (b"FHS|^~\\&|F", b"BHS|^~\\&|||||||||B7", b"BTS|2", b"FTS|1")
    assert (batch.control_id, batch.declared_count) == ("B7", 2)


@pytest.mark.parametrize(
    ("trailers", "count"), [(b"BTS|3\rBTS|4\r", 7), (b"BTS|x\r", None), (b"BTS\r", None), (b"", None)]
)
def test_declared_count(trailers: bytes, count: int | None) -> None:
    assert read_batch(b"BHS|^~\\&|\r" + A + trailers).declared_count == count


def test_what_belongs_to_no_message_does_not_vanish() -> None:
    assert split(b"PID|lost\r" + A) == [b"PID|lost\r", A]
    assert split(b"BHS|^~\\&|\rPID|lost\r" + A + b"BTS|1\rOBX|lost\r") == [b"\rPID|lost\r", A, b"\rOBX|lost\r"]


def test_an_envelope_without_messages() -> None:
    assert split(b"FHS|^~\\&|\rBHS|^~\\&|\rBTS|0\rFTS|1\r") == []


def test_msh_inside_a_field_starts_nothing() -> None:
    body = A + b"OBX|1|TX|||MSH|^~\\&|x MSH|\rMSHX|\rMSH\r"
    assert split(body) == [body]


def test_the_answer_to_a_batch() -> None:
    batch = read_batch(b"BHS|^~\\&|||||||||B7\r" + A + A)
    assert build_batch_answer(batch, [b"MSH|1\r", b"MSH|2\r"], control_id="I1", time="2026") == (
        b"BHS|^~\\&|||||2026||||I1|B7\rMSH|1\rMSH|2\rBTS|2\r"
    )


@pytest.mark.parametrize(
    ("trailer", "said"),
    [
        (b"BTS|2\rFTS|1\r", ()),
        (b"", ()),
        (b"BTS\rFTS|x\r", ()),
        (b"BTS|3\r", ("BTS-1 says 3 messages, the batch holds 2",)),
        (b"BTS|0\rFTS|2\r", ("BTS-1 says 0 messages, the batch holds 2", "FTS-1 says 2 batches, the file holds 1")),
    ],
)
def test_counts_that_do_not_agree_with_what_is_there(trailer: bytes, said: tuple[str, ...]) -> None:
    assert read_batch(b"FHS|^~\\&|F\rBHS|^~\\&|B\r" + A + B + trailer).disagreements == said


def test_counts_of_several_batches_are_added_up() -> None:
    batch = b"BHS|^~\\&|B\r" + A + b"BTS|1\r"
    assert read_batch(b"FHS|^~\\&|F\r" + batch * 2 + b"FTS|2\r").disagreements == ()
