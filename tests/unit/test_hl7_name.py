"""Names: the order of prefix and suffix differs, repetitions become component groups."""

import pytest

from engine.hl7.delimiter import DEFAULT_DELIMITERS as D
from engine.hl7.name import person_name, practitioner_name, provider_name, provider_names, to_xcn, to_xpn


@pytest.mark.parametrize(
    ("raw", "pn"),
    [
        ("TEST^ALPHA", "TEST^ALPHA"),
        ("TEST", "TEST"),
        ("TEST^ALPHA^M^JR^DR", "TEST^ALPHA^M^DR^JR"),
        ("TEST^ALPHA^M^JR^DR^PHD", "TEST^ALPHA^M^DR^JR PHD"),
        ("TEST^ALPHA^^^^MD", "TEST^ALPHA^^^MD"),
        ("TEST^ALPHA^^^^", "TEST^ALPHA"),
        ("", ""),
        ("^^^^^^L", ""),
        ('""', ""),
        ('TEST^""', "TEST"),
        ("van TEST&van&TEST^ALPHA", "van TEST^ALPHA"),
        ("TEST&van^ALPHA", "van TEST^ALPHA"),
        ("&&TEST^ALPHA", "TEST^ALPHA"),
        ("NICK^^^^^^N~TEST^ALPHA^^^^^L", "TEST^ALPHA"),
        ("MAIDEN^ALPHA^^^^^M~NICK^^^^^^N", "MAIDEN^ALPHA"),
        ("Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("山田^太郎^^^^^L^I", "=山田^太郎"),
        ("やまだ^^^^^^^P~Yamada", "Yamada==やまだ"),
        ("A^B~C^D", "A^B"),
        ("O\\T\\TEST\\S\\X=Y\\E\\Z^AL  PHA ", "O&TEST X Y/Z^AL PHA"),
        ("^ALPHA", "^ALPHA"),
    ],
)
def test_person_name(raw: str, pn: str) -> None:
    assert person_name(raw, D) == pn


@pytest.mark.parametrize(
    ("raw", "pn"),
    [
        ("1234^TEST^ALPHA^M^JR^DR^MD", "TEST^ALPHA^M^DR^JR MD"),
        ("1234", ""),
        ("1234~5678^TEST", "TEST"),
        ("^TEST^ALPHA", "TEST^ALPHA"),
        ("", ""),
    ],
)
def test_provider_name(raw: str, pn: str) -> None:
    assert provider_name(raw, D) == pn


def test_provider_names() -> None:
    assert provider_names("1^TEST^A~2~3^TEST^B", D) == ["TEST^A", "TEST^B"]


def test_practitioner_name_has_subcomponents() -> None:
    assert practitioner_name("1234&TEST&ALPHA&M&JR&DR&MD^20260102", D) == "TEST^ALPHA^M^DR^JR MD"
    assert practitioner_name("1234^20260102", D) == ""
    assert practitioner_name("", D) == ""


@pytest.mark.parametrize(
    ("pn", "xpn"),
    [
        ("TEST^ALPHA^M^DR^JR", "TEST^ALPHA^M^JR^DR^^L"),
        ("TEST", "TEST^^^^^^L"),
        ("", ""),
        ("Yamada^Tarou=山田^太郎", "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I"),
        ("=山田", "山田^^^^^^L^I"),
        ("A&B|C", "A\\T\\B\\F\\C^^^^^^L"),
    ],
)
def test_to_xpn(pn: str, xpn: str) -> None:
    assert to_xpn(pn, D) == xpn


@pytest.mark.parametrize(
    "pn", ["TEST^ALPHA^M^DR^JR", "Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田", "TEST^^^^JR", "A&B"]
)
def test_there_and_back(pn: str) -> None:
    assert person_name(to_xpn(pn, D), D) == pn


def test_to_xcn() -> None:
    assert to_xcn("TEST^ALPHA^^DR=X", D, identifier="12") == "12^TEST^ALPHA^^^DR"
    assert provider_name(to_xcn("TEST^ALPHA^M^DR^JR", D), D) == "TEST^ALPHA^M^DR^JR"
    assert to_xcn("", D) == ""
