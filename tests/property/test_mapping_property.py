"""Whatever people write, they get an answer with a place; whatever is sent, only our errors come out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.config.position import read_document
from engine.config.site import load_site
from engine.config.validation import validated
from engine.core.errors import PeerError
from engine.hl7.message import Message
from engine.mapping.compile import Environment, compile_expression
from engine.mapping.document import MappingDocument
from engine.mapping.fault import Refused
from engine.mapping.parser import NotAnExpression, parse_expression
from engine.mapping.place import Place
from engine.mapping.scope import Scope

SITE = load_site(environ={})
REPOSITORY = Path(__file__).resolve().parents[2]
ORDER = (REPOSITORY / "samples" / "hl7" / "omi-o23-three-steps.hl7").read_bytes().decode()

PIECES = """
PID-3 OBX[*]-5 PID-5[7='L'].1 a.b[0] identifiers
( ) [ ] , | . - or and not in == != <
'x' '' 7 2.5 true null \\ "
upper lookup(sex) default('d') person_name timestamp first join same
"""
pieces = st.sampled_from(PIECES.split())
expressions = st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=60)


@given(expressions)
def test_an_expression_parses_or_says_where_it_does_not(text: str) -> None:
    column = 0
    try:
        parse_expression(text)
    except NotAnExpression as fault:
        column = fault.column

    assert 0 <= column <= len(text)


@given(expressions)
def test_an_expression_compiles_to_something_that_runs(text: str) -> None:
    environment = Environment(source="hl7v2", tables=SITE.tables)
    compiled = compile_expression(text, environment, Place("x"))
    scope = Scope.of(Message.parse(ORDER.encode()), SITE.context())

    with suppress(Refused):
        compiled.read(scope)


@given(st.text(alphabet=st.sampled_from("ab:- \n'\"[]{}#&*!|>%@,?7"), max_size=80) | st.text(max_size=80))
def test_any_text_is_a_document_or_has_flaws_with_places(text: str) -> None:
    document, flaws = read_document(text, "f.yaml")

    assert document is not None or flaws
    if document is not None:
        said, more = validated(MappingDocument, document)
        assert (said is None) is bool(more)
        flaws += more
    assert all(flaw.place.line >= 1 and flaw.place.column >= 1 for flaw in flaws)


@given(st.lists(st.tuples(st.integers(0, len(ORDER)), st.sampled_from('|^~&\\"\rA1 ')), max_size=12))
def test_damaged_orders_are_mapped_or_refused(damage: list[tuple[int, str]]) -> None:
    text = ORDER
    for at, character in damage:
        text = text[:at] + character + text[at + 1 :]

    try:
        message = Message.parse(text.encode())
        results = SITE.mapping("order-from-hl7").run(message, SITE.context(), explain=True)
    except PeerError:
        return
    assert all(result.fact.patient.identifiers for result in results)  # type: ignore[union-attr]
