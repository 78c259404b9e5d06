"""What a modality must know of the patient beside the name: weight, height, pregnancy, allergies, alerts.

Kept with the order that said it, because it was true when that was placed.
Source: spec/worklist.md section 2.4, spec/hl7.md section 7.7; DICOM PS3.3 C.2.3, C.2.4 (values of Pregnancy Status).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from engine.linkage.change import Change
from engine.records.explicit import NULL, plain, updated
from engine.records.fact import ClinicalFact, ObservationFact

_KILOGRAMS = {"KG": 1.0, "G": 0.001, "LB": 0.45359237, "LBS": 0.45359237, "[LB_AV]": 0.45359237, "OZ": 0.028349523125}
_METRES = {"M": 1.0, "CM": 0.01, "MM": 0.001, "IN": 0.0254, "[IN_I]": 0.0254, "[IN_US]": 0.0254, "FT": 0.3048}
_HEAVIEST_KG = 1000.0
_TALLEST_M = 3.0
_BY_CAUTION = ("3", "2", "4", "1")
"""Pregnancy Status (0010,21C0), what to reckon with first: definitely, possibly, unknown, not pregnant."""
_DAY = 8


def clinical_facts(said: ClinicalFact | None, old: Mapping[str, str], change: Change) -> dict[str, str]:
    """Return what is known after a message, by the names of `ClinicalFact` and `weight_kg`, `size_m` and such.

    A measured value without a number or a unit is left out and the sender told.
    """
    if said is None:
        return dict(old)
    new = dict(old)
    for field in fields(said):
        if field.name != "observations":
            new[field.name] = updated(old.get(field.name, ""), getattr(said, field.name))
    for observation in said.observations:
        name, value = _measured(observation)
        if value:
            new[name] = _more_cautious(new, name, value, said)
        elif name:
            change.notes.append(f"{name} not taken: OBX-5 and OBX-6 do not give it with its unit")
    return {name: value for name, value in new.items() if value}


def _more_cautious(known: Mapping[str, str], name: str, value: str, said: ClinicalFact) -> str:
    """Of two statements of one message on pregnancy the more cautious one counts."""
    if name != "pregnancy_status" or said.pregnancy_status in (None, NULL):
        return value
    return min(value, known.get(name, value), key=_rank)


def _rank(status: str) -> int:
    return _BY_CAUTION.index(status) if status in _BY_CAUTION else len(_BY_CAUTION)


def _measured(said: ObservationFact) -> tuple[str, str]:
    """Return (what it is, its value in our unit); "" where the one or the other cannot be told."""
    match plain(said.kind):
        case "weight":
            return ("weight_kg", _number(said, _KILOGRAMS, _HEAVIEST_KG))
        case "height":
            return ("size_m", _number(said, _METRES, _TALLEST_M))
        case "pregnancy":
            return ("pregnancy_status", plain(said.pregnancy))
        case "last_menstruation":
            day = plain(said.value)[:_DAY]
            return ("last_menstrual_date", day if day.isdecimal() and len(day) == _DAY else "")
        case _:
            return ("", "")


def _number(said: ObservationFact, units: Mapping[str, float], most: float) -> str:
    factor = units.get(plain(said.units).strip().upper())
    try:
        value = float(plain(said.value).replace(",", "."))
    except ValueError:
        return ""
    if factor is None or not 0 < value * factor <= most:
        return ""
    return f"{value * factor:.3f}".rstrip("0").rstrip(".")
