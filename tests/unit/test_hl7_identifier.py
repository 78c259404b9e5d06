"""Identifiers keep every character; authorities may be namespaces or universal ids."""

from engine.hl7.delimiter import DEFAULT_DELIMITERS as D
from engine.hl7.identifier import Authority, Identifier, authority, entity_identifier, patient_identifiers, to_cx, to_ei


def test_patient_identifiers_in_order() -> None:
    raw = '00123^4^M10^HOSP&1.2.3&ISO^MR^FAC~ 9 ^^^^PI^CLINIC~~""~^^^HOSP~A\\T\\B^^^&1.2&ISO'
    assert patient_identifiers(raw, D) == [
        Identifier("00123", "HOSP", "1.2.3", "ISO", "MR"),
        Identifier("9", "CLINIC", "", "", "PI"),
        Identifier("A&B", "", "1.2", "ISO", ""),
    ]
    assert patient_identifiers("", D) == []
    assert patient_identifiers("X^^^HOSP&EXTRA", D) == [Identifier("X", "HOSP", "EXTRA")]


def test_entity_identifier() -> None:
    assert entity_identifier("ORD1^HIS^1.2.3^ISO", D) == Identifier("ORD1", "HIS", "1.2.3", "ISO")
    assert entity_identifier("~ORD2", D) == Identifier("ORD2")
    assert entity_identifier("ORD&X^HIS", D) == Identifier("ORD", "HIS")
    assert entity_identifier("^HIS", D) is None
    assert entity_identifier('""', D) is None


def test_authority() -> None:
    assert authority("HIS^1.2.3^ISO", D) == Authority("HIS", "1.2.3", "ISO")
    assert authority("", D) == Authority()


def test_writing() -> None:
    assert to_cx(Identifier("1", "H|P", "1.2", "ISO", "MR"), D) == "1^^^H\\F\\P&1.2&ISO^MR"
    assert to_cx(Identifier("1"), D) == "1"
    assert to_cx(Identifier("1", type_code="PI"), D) == "1^^^^PI"
    assert to_ei(Identifier("1", "HIS", "1.2", "ISO", "MR"), D) == "1^HIS^1.2^ISO"
    assert to_ei(Identifier("1"), D) == "1"


def test_there_and_back() -> None:
    whole = Identifier("0^1", "H&P", "1.2", "ISO", "MR")
    assert patient_identifiers(to_cx(whole, D), D) == [whole]
    assert entity_identifier(to_ei(whole, D), D) == whole._replace(type_code="")
