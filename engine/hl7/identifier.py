"""Identifiers and who assigned them: CX, EI and HD. Values are never shortened, padded or stripped of zeros.

Source: HL7 v2.5.1 chapter 2.A.14 (CX), 2.A.28 (EI), 2.A.36 (HD); tables 0203 (identifier type code),
0301 (universal id type).
"""

from __future__ import annotations

from typing import NamedTuple

from engine.hl7.delimiter import NULL, Delimiters


class Authority(NamedTuple):
    """Who assigns identifiers (HD)."""

    namespace: str = ""
    universal_id: str = ""
    universal_id_type: str = ""


class Identifier(NamedTuple):
    """An identifier with its authority; `type_code` is table 0203 (MR, PI …), empty for an EI."""

    value: str
    namespace: str = ""
    universal_id: str = ""
    universal_id_type: str = ""
    type_code: str = ""


def authority(raw: str, delimiters: Delimiters) -> Authority:
    """Return an HD field (its parts are components), such as MSH-3."""
    return Authority(*_texts(delimiters.components(raw), 3, delimiters))


def patient_identifiers(raw: str, delimiters: Delimiters) -> list[Identifier]:
    """Return the repetitions of a CX field in order; empty and null ones say nothing and are left out.

    Without an assigning authority (CX.4) the assigning facility (CX.6) is taken: senders confuse them.
    """
    found = []
    for repetition in delimiters.repetitions(raw):
        parts = delimiters.components(repetition)
        value = _text(parts[0], delimiters)
        if not value:
            continue
        assigned_by = parts[3] if len(parts) > 3 else ""
        if not assigned_by.strip() or assigned_by == NULL:
            assigned_by = parts[5] if len(parts) > 5 else ""
        namespace, universal_id, kind = _texts(delimiters.subcomponents(assigned_by), 3, delimiters)
        type_code = _text(parts[4], delimiters) if len(parts) > 4 else ""
        found.append(Identifier(value, namespace, universal_id, kind, type_code))
    return found


def entity_identifier(raw: str, delimiters: Delimiters) -> Identifier | None:
    """Return the first repetition of an EI field (its authority is components 2 to 4); None when it has no value."""
    for repetition in delimiters.repetitions(raw):
        value, namespace, universal_id, kind = _texts(delimiters.components(repetition), 4, delimiters)
        if value:
            return Identifier(value, namespace, universal_id, kind)
    return None


def to_cx(identifier: Identifier, delimiters: Delimiters) -> str:
    """Return raw text of one CX repetition."""
    escape = delimiters.escape
    separator = delimiters.subcomponent_separator
    assigned_by = separator.join(escape(part) for part in identifier[1:4]).rstrip(separator)
    return _joined([escape(identifier.value), "", "", assigned_by, escape(identifier.type_code)], delimiters)


def to_ei(identifier: Identifier, delimiters: Delimiters) -> str:
    """Return raw text of an EI."""
    return _joined([delimiters.escape(part) for part in identifier[:4]], delimiters)


def _joined(parts: list[str], delimiters: Delimiters) -> str:
    return delimiters.component_separator.join(parts).rstrip(delimiters.component_separator)


def _texts(parts: list[str], count: int, delimiters: Delimiters) -> list[str]:
    texts = [_text(part, delimiters) for part in parts[:count]]
    return texts + [""] * (count - len(texts))


def _text(raw: str, delimiters: Delimiters) -> str:
    if not raw or raw == NULL:
        return ""
    if delimiters.subcomponent_separator in raw:
        raw = delimiters.subcomponents(raw)[0]
    return delimiters.unescape(raw).strip()
