"""Which message structure is meant when MSH-9 leaves it out.

Source: HL7 v2.5.1 table 0354 and chapters 3, 4, 7, 9, 10; retired structures of older versions are kept.
"""

from __future__ import annotations

from typing import Final

_ADT: Final = {
    **dict.fromkeys(("A01", "A04", "A08", "A13"), "ADT_A01"),
    **dict.fromkeys(("A05", "A14", "A28", "A31"), "ADT_A05"),
    **dict.fromkeys(("A06", "A07"), "ADT_A06"),
    **dict.fromkeys(("A09", "A10", "A11", "A12"), "ADT_A09"),
    **dict.fromkeys(("A21", "A22", "A23", "A25", "A26", "A27", "A29", "A32", "A33"), "ADT_A21"),
    **dict.fromkeys(("A18", "A30", "A34", "A35", "A36", "A46", "A47", "A48", "A49"), "ADT_A30"),
    **dict.fromkeys(("A39", "A40", "A41", "A42"), "ADT_A39"),
    **dict.fromkeys(("A43", "A44"), "ADT_A43"),
    **dict.fromkeys(("A50", "A51"), "ADT_A50"),
    **{t: f"ADT_{t}" for t in ("A02", "A03", "A15", "A16", "A17", "A20", "A24", "A37", "A38", "A45", "A52")},
}
_OTHER: Final = {
    ("ORM", "O01"): "ORM_O01",
    ("OMG", "O19"): "OMG_O19",
    ("OMI", "O23"): "OMI_O23",
    ("ORR", "O02"): "ORR_O02",
    ("ORG", "O20"): "ORG_O20",
    ("ORI", "O24"): "ORI_O24",
    ("OSU", "O51"): "OSU_O51",
    ("OSU", "O52"): "OSU_O52",
    ("ORU", "R01"): "ORU_R01",
    ("ORU", "R30"): "ORU_R30",
    ("ORU", "R31"): "ORU_R30",
    ("ORU", "R32"): "ORU_R30",
    ("ORU", "R40"): "ORU_R01",
    **{("MDM", f"T{n:02}"): "MDM_T01" if n % 2 or n == 11 else "MDM_T02" for n in range(1, 12)},
    **{("SIU", f"S{n}"): "SIU_S12" for n in range(12, 28)},
    ("QBP", "Q21"): "QBP_Q21",
    ("QBP", "Q22"): "QBP_Q21",
    ("QBP", "Q23"): "QBP_Q21",
    ("RSP", "K22"): "RSP_K22",
}
_ONLY_TRIGGER: Final = {"ORM": "O01", "ORU": "R01"}


def infer_trigger(message_type: str) -> str:
    """Return the trigger event of a type that had only one when versions up to 2.3 left it out, else ""."""
    return _ONLY_TRIGGER.get(message_type, "")


def infer_structure(message_type: str, trigger: str) -> str:
    """Return the structure (table 0354) of a type and trigger event, "" when it is not one we know."""
    if message_type == "ADT":
        return _ADT.get(trigger, "")
    if message_type == "ACK":
        return "ACK"
    return _OTHER.get((message_type, trigger), "")
