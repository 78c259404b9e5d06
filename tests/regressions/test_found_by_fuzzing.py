"""Frames that once hung, grew or misled the reading of HL7, kept as they were found or shortened."""

from __future__ import annotations

import time
import tracemalloc
from typing import Final

import pytest

from engine.core.errors import PeerError
from engine.hl7.acknowledgement import build_ack
from engine.hl7.message import Message

HEAD: Final = b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.5||||||"
SLOW: Final = {
    "a name of combining marks took minutes to be composed": HEAD + b"\rPID|1||1||e" + b"\xcc\x81\xcc\xa3" * 100_000,
    "so did Tibetan signs that come apart into marks": HEAD + b"\rPID|1||1||e" + "\u0f73".encode() * 100_000,
}


@pytest.mark.parametrize("found", SLOW)
def test_what_took_for_ever_is_refused_at_once(found: str) -> None:
    begun = time.thread_time()

    with pytest.raises(PeerError, match="HL7-102"):
        Message.parse(SLOW[found])

    assert time.thread_time() - begun < 1


def test_what_a_sender_writes_into_msh_is_not_remembered_at_its_length() -> None:
    tracemalloc.start()
    for number in range(50):
        long = b"%d" % number + b"x" * 100_000
        for body in (
            b"MSH|^~\\&#" + long + b"|A|B|C|D|2026||ORM^O01|1|P|2.5\r",
            HEAD + long + b"\r",
            HEAD.replace(b"2.5", b"2.5" + long) + b"\r",
        ):
            message = Message.parse(body)
            build_ack(message, control_id="1", time="2026")
    del message, body, long
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 1_000_000
