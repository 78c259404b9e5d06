"""Documents inside reports: joined, decoded, named; refused with their place when they are none."""

from __future__ import annotations

import base64

import pytest

from engine.linkage.attached import Document, UndecodableDocument, documents_of
from engine.records.fact import ResultFact

PDF = b"%PDF-1.4\n" + bytes(range(256)) + b"\n%%EOF\n"
TEXT = base64.b64encode(PDF).decode()


def said(value: str, **more: str) -> ResultFact:
    values = {"value_type": "ED", "value": value, "data_type": "AP/PDF", "encoding": "Base64", "name": "REPORT"}
    return ResultFact(**{**values, **more})


def only(*results: ResultFact) -> Document:
    (found,) = documents_of(results)
    return found


@pytest.mark.parametrize("wrap", ["{}", "{}\n{}", "{}\r{}", "{}\r\n {}\t", "{}\n\n{}"])
def test_base64_is_read_however_it_is_wrapped(wrap: str) -> None:
    half = len(TEXT) // 2 + 1
    value = wrap.format(TEXT) if wrap == "{}" else wrap.format(TEXT[:half], TEXT[half:])

    assert only(said(value)) == Document(
        title="REPORT", media_type="application/pdf", said_type="AP/PDF/Base64", content=PDF
    )


@pytest.mark.parametrize("at", [(1,), (5, 100), (64, 128, 192)])
def test_rows_of_one_code_are_one_document(at: tuple[int, ...]) -> None:
    pieces = [TEXT[begin:end] for begin, end in zip((0, *at), (*at, len(TEXT)), strict=True)]

    assert only(*(said(piece) for piece in pieces)).content == PDF


def test_a_row_that_names_no_type_goes_on_with_the_one_before() -> None:
    assert only(said(TEXT[:40]), said(TEXT[40:], data_type="", encoding="")).content == PDF


def test_a_row_that_begins_a_document_is_another_one() -> None:
    assert [each.content for each in documents_of([said(TEXT), said(TEXT)])] == [PDF, PDF]


def test_rows_of_other_codes_are_other_documents() -> None:
    found = documents_of([said(TEXT, code="A"), said(TEXT, code="B"), said("41", code="C", encoding="Hex")])

    assert [each.content for each in found] == [PDF, PDF, b"A"]


def test_hexadecimal() -> None:
    assert only(said(PDF.hex(" ", 32), encoding="hex")).content == PDF


def test_plain_text_is_kept_as_it_stands() -> None:
    found = only(said("<?xml version='1.0'?><A B='^'/>", encoding="A", data_type="text/text/xml"))

    assert (found.content, found.media_type) == (b"<?xml version='1.0'?><A B='^'/>", "text/xml")


def test_a_pointer_is_kept() -> None:
    found = only(said("HTTPS://PACS.TEST/1", value_type="RP", data_type="Image/JPEG", encoding=""))

    assert (found.pointer, found.media_type, found.content) == ("HTTPS://PACS.TEST/1", "image/jpeg", b"")


@pytest.mark.parametrize(
    ("stated", "content", "media_type"),
    [
        ("AP/PDF", b"%PDF-1", "application/pdf"),
        ("AP/Octet-stream", b"%PDF-1", "application/pdf"),
        ("AP/PDF", b"{\\rtf1}", "application/rtf"),
        ("TEXT/RTF", b"plain", "application/rtf"),
        ("TEXT/", b"plain", "text/plain"),
        ("multipart/x-hl7-cda-level-one", b"\x00", "text/xml"),
        ("Text/text/calendar", b"\x00", "text/calendar"),
        ("Text/text/x\r\nA: b", b"\x00", "text/plain"),
        ("AP/", b"\x00", "application/octet-stream"),
        ("IM/JPEG", b"\xff\xd8\xff\xe0", "image/jpeg"),
    ],
)
def test_a_document_is_named_by_its_first_bytes_then_by_what_is_said(
    stated: str, content: bytes, media_type: str
) -> None:
    assert only(said(base64.b64encode(content).decode(), data_type=stated)).media_type == media_type


@pytest.mark.parametrize(
    ("value", "encoding", "text"),
    [
        ("<see file>", "Base64", "OBX-5 is not Base64 text"),
        (TEXT[:-3], "Base64", "OBX-5 is not Base64 text"),
        ("4Z", "Hex", "OBX-5 is not hexadecimal text"),
        ("§", "", "OBX-5 is not Base64 text"),
    ],
)
def test_what_cannot_be_decoded_is_refused_with_its_place(value: str, encoding: str, text: str) -> None:
    with pytest.raises(UndecodableDocument) as raised:
        documents_of([said("", position="1"), said(value, encoding=encoding, position="7")])

    assert (raised.value.text, raised.value.where, raised.value.code) == (text, "OBX^7^5", "HL7-112")


def test_empty_and_taken_back_rows_are_no_documents() -> None:
    assert documents_of([said(" "), said(TEXT, status="WITHDRAWN"), said("A", value_type="TX")]) == ()
