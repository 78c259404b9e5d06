"""What a search of FHIR asks for, as criteria of the store.

Source: FHIR R4 search.html; spec sheet fhir.md section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from engine.broker.representation import ORDER_STATUS, STUDY_STATUS
from engine.broker.subject import row_of
from engine.fhir.capability import SearchParameter, Served, served
from engine.fhir.errors import refused
from engine.fhir.system import DICOM_UID, OID, REQUESTED_PROCEDURE_ID
from engine.fhir.token import Token, alternatives, unescaped
from engine.records.issuer import IssuerTable
from engine.store.resource import Wanted

DEFAULT_COUNT = 50
MOST_COUNT = 200
"""Most resources of a page; a larger `_count` is read as this."""
AFTER = "_after"
"""Our own parameter in `link[next]`: the last id of the page before."""
_ANSWERED_ELSEWHERE = frozenset({"_format", "_pretty"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_NOBODY = 0
"""No row has this id."""


@dataclass(slots=True, kw_only=True)
class Search:
    """A search as far as it is understood."""

    criteria: list[list[Wanted]] = field(default_factory=list)
    count: int = DEFAULT_COUNT
    after: int = 0
    honoured: list[tuple[str, str]] = field(default_factory=list)
    """Parameters that were used, for the self link."""
    ignored: list[str] = field(default_factory=list)
    """Names of those that were not."""


def search_of(of: Served, pairs: Iterable[tuple[str, str]], issuers: IssuerTable, base_url: str) -> Search:
    """Return what a query asks for; parameters that are not served, or have no readable value, are ignored and told."""
    search = Search()
    for position, (name, value) in enumerate(pairs, 1):
        if name in _ANSWERED_ELSEWHERE:
            continue
        if _take_page(search, name, value):
            continue
        parameter = of.parameter(name)
        wanted = _wanted(of, parameter, value, issuers, base_url) if parameter else None
        if wanted:
            search.criteria.append(wanted)
            search.honoured.append((name, value))
        else:
            search.ignored.append(name if _NAME.fullmatch(name) else f"number {position}")
    return search


def conditions_of(query: str, issuers: IssuerTable) -> Sequence[Sequence[Wanted]]:
    """Return the criteria of an If-None-Exist header; none for an empty one.

    Raises:
        ResourceRefused: FHIR-130, it uses a parameter that is not served: ignoring it would create doubles or none.
    """
    of = served("ServiceRequest")
    if not query.strip() or of is None:
        return ()
    search = search_of(of, parse_qsl(query.strip().removeprefix("?"), keep_blank_values=True), issuers, "")
    if search.ignored or not search.criteria:
        raise refused(
            "FHIR-130", f"If-None-Exist: parameter not supported: {', '.join(search.ignored) or 'none given'}"
        )
    return search.criteria


def _take_page(search: Search, name: str, value: str) -> bool:
    number = row_of(value)
    if number is None or name not in ("_count", AFTER):
        return False
    if name == "_count":
        search.count = min(number, MOST_COUNT)
        search.honoured.append((name, str(search.count)))
    else:
        search.after = number
    return True


def _wanted(of: Served, parameter: SearchParameter, value: str, issuers: IssuerTable, base_url: str) -> list[Wanted]:
    wanted: list[Wanted] = []
    for text in alternatives(value):
        match parameter.name:
            case "_id":
                wanted.append(Wanted(by="id", row=row_of(unescaped(text)) or _NOBODY))
            case "identifier":
                wanted += _numbers(of.type, Token.parse(text), issuers)
            case "patient":
                wanted.append(Wanted(by="patient", row=_row_of_reference(text, "Patient", base_url)))
            case "basedon":
                wanted.append(Wanted(by="procedure", row=_row_of_reference(text, "ServiceRequest", base_url)))
            case _:
                wanted.append(Wanted(by="states", states=_states(of.type, Token.parse(text).value)))
    return wanted


def _numbers(kind: str, token: Token, issuers: IssuerTable) -> list[Wanted]:
    if not token.value:
        return []
    uid = Wanted(by="study_uid", text=token.value.removeprefix(OID))
    rp_id = Wanted(by="rp_id", text=token.value)
    if token.system == DICOM_UID:
        return [uid]
    if token.system == REQUESTED_PROCEDURE_ID:
        return [rp_id]
    if token.system is not None:
        return [Wanted(by="number", text=token.value, issuer=issuers.key("", token.system))]
    number = Wanted(by="number", text=token.value)
    return {"Patient": [number], "ImagingStudy": [number, uid]}.get(kind, [number, uid, rp_id])


def _row_of_reference(text: str, kind: str, base_url: str) -> int:
    local = unescaped(text).removeprefix(f"{base_url}/").removeprefix(f"{kind}/")
    return row_of(local) or _NOBODY


def _states(kind: str, status: str) -> tuple[str, ...]:
    table = ORDER_STATUS if kind == "ServiceRequest" else STUDY_STATUS
    return tuple(state.value for state, code in table.items() if code == status)
