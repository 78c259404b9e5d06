"""What each code becomes in each protocol. Nobody else writes these numbers.

Source: HL7 v2 tables 0008 and 0357, FHIR R4 IssueType, DICOM PS3.7 annex C, spec sheets of this project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Retry = Literal["never", "retry", "dead-letter"]
Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One code in every protocol; None where the code cannot arise or nothing is answered."""

    ack: Literal["AA", "AE", "AR"] | None = None
    accept_ack: Literal["CA", "CE", "CR"] | None = None
    hl7: int | None = None
    """Table 0357."""
    fhir: str | None = None
    """IssueType."""
    http: int | None = None
    dimse: int | None = None
    retry: Retry = "never"
    level: Level = "warning"


def _refused(  # one row of a table reads best on one line
    ack: Literal["AE", "AR"],
    hl7: int,
    fhir: str,
    http: int,
    dimse: int | None = None,
    *,
    accept: Literal["CA", "CE", "CR"] | None = None,
) -> Outcome:
    return Outcome(
        ack=ack, accept_ack=accept or ("CE" if ack == "AE" else "CR"), hl7=hl7, fhir=fhir, http=http, dimse=dimse
    )


def _content(hl7: int, fhir: str, http: int = 422) -> Outcome:
    """A message that was stored and then found wrong: in enhanced mode CA, then AE."""
    return _refused("AE", hl7, fhir, http, accept="CA")


_SILENT = Outcome(level="error")

OUTCOMES: dict[str, Outcome] = {
    # MLLP framing (spec/reliability.md section 2)
    "MLLP-101": _SILENT,
    "MLLP-102": _refused("AR", 207, "too-long", 413, accept="CE"),
    "MLLP-103": _refused("AR", 100, "structure", 400, accept="CE"),
    "MLLP-104": _SILENT,
    "MLLP-105": _refused("AR", 100, "structure", 400, accept="CE"),
    "MLLP-106": _SILENT,
    "MLLP-107": _SILENT,
    # HL7 v2 content
    "HL7-101": _refused("AR", 100, "structure", 400),
    "HL7-102": _refused("AE", 102, "value", 400),
    "HL7-103": _refused("AE", 101, "required", 400),
    "HL7-104": _refused("AR", 200, "not-supported", 422),
    "HL7-105": _refused("AR", 202, "not-supported", 422),
    "HL7-106": _refused("AR", 203, "not-supported", 422),
    "HL7-107": _refused("AR", 201, "not-supported", 422),
    "HL7-110": _content(100, "structure"),
    "HL7-111": _content(101, "required"),
    "HL7-112": _content(102, "value"),
    "HL7-113": _content(103, "code-invalid"),
    "HL7-114": _content(104, "too-long"),
    "HL7-120": _content(204, "not-found"),
    "HL7-121": _content(205, "duplicate", 409),
    "HL7-130": _refused("AR", 205, "duplicate", 409),
    # mapping at run time: kept as refused, replayable after the mapping is mended
    "MAP-201": _content(101, "required"),
    "MAP-202": _content(103, "code-invalid"),
    "MAP-203": _content(102, "value"),
    "MAP-204": _content(102, "invariant"),
    "MAP-205": _refused("AR", 207, "too-costly", 422),
    # FHIR
    "FHIR-101": _refused("AE", 102, "structure", 400),
    "FHIR-104": _refused("AR", 207, "too-long", 413),
    "FHIR-106": _refused("AR", 200, "not-supported", 404),
    "FHIR-107": _refused("AR", 200, "not-supported", 405),
    "FHIR-108": _refused("AR", 200, "not-supported", 415),
    "FHIR-109": _refused("AR", 200, "not-supported", 406),
    "FHIR-110": _refused("AE", 102, "structure", 400),
    "FHIR-111": _refused("AE", 102, "business-rule", 422),
    "FHIR-112": _refused("AE", 205, "conflict", 409),
    "FHIR-113": _refused("AE", 101, "required", 422),
    "FHIR-114": _refused("AE", 103, "code-invalid", 400),
    "FHIR-120": _refused("AE", 204, "not-found", 404),
    "FHIR-124": _refused("AE", 204, "multiple-matches", 412),
    "FHIR-130": _refused("AE", 103, "not-supported", 400),
    # DICOM
    "DCM-101": _SILENT,
    "DCM-102": _SILENT,
    "DCM-103": _SILENT,
    "DCM-104": _SILENT,
    "DCM-105": _SILENT,
    "DCM-106": _SILENT,
    "DCM-110": _refused("AE", 102, "structure", 400, 0xC000),
    "DCM-111": _refused("AE", 102, "invariant", 409, 0xA900),
    "DCM-112": _refused("AE", 101, "required", 400, 0xC001),
    "DCM-113": _refused("AR", 207, "too-long", 413, 0xA700),
    "DCM-114": _refused("AE", 205, "conflict", 409, 0x0110),
    "DCM-115": _refused("AR", 200, "not-supported", 400, 0x0122),
    "DCM-116": _refused("AR", 201, "not-supported", 400, 0x0211),
    "DCM-120": _refused("AE", 102, "value", 400, 0xA900),
    "DCM-121": _refused("AE", 102, "value", 400, 0xC000),
    "DCM-123": _refused("AE", 102, "too-costly", 413, 0xA700),
    # pages and JSON API
    "WEB-110": Outcome(fhir="value", http=400),
    "WEB-111": Outcome(fhir="not-found", http=404),
    "WEB-120": Outcome(fhir="multiple-matches", http=409),
    "WEB-121": Outcome(fhir="not-supported", http=405),
    # access
    "SEC-101": _SILENT,
    "SEC-102": _SILENT,
    "SEC-110": _refused("AR", 207, "forbidden", 403),
    "SEC-120": _SILENT,
    "SEC-121": _SILENT,
    "SEC-130": _refused("AR", 207, "login", 401, 0x0124),
    # storage: nothing is answered over HL7, so that the sender keeps the message
    "STO-101": Outcome(fhir="no-store", http=503, dimse=0xA700, retry="retry", level="error"),
    "STO-102": Outcome(fhir="no-store", http=503, dimse=0xA700, retry="retry", level="error"),
    "STO-103": Outcome(fhir="no-store", http=503, dimse=0xA700, retry="retry", level="error"),
    "STO-104": Outcome(fhir="exception", http=500, dimse=0x0110, level="error"),
    # network, outward
    "NET-101": _SILENT,
    "NET-110": Outcome(retry="retry"),
    "NET-111": Outcome(retry="retry"),
    "NET-112": Outcome(retry="retry"),
    "NET-113": Outcome(retry="dead-letter"),
    "NET-114": Outcome(retry="retry"),
    "NET-120": _SILENT,
    "NET-121": _SILENT,
    "NET-130": Outcome(fhir="throttled", http=429, dimse=0xA700, retry="retry"),
    # ours
    "BUG-101": Outcome(
        ack="AR", accept_ack="CR", hl7=207, fhir="exception", http=500, dimse=0x0110, retry="dead-letter", level="error"
    ),
}


def outcome_of(code: str) -> Outcome:
    """Return the row of `code`; an unknown code is our bug and answers as one."""
    return OUTCOMES.get(code, OUTCOMES["BUG-101"])
