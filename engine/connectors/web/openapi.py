"""The OpenAPI document of the JSON API, made from the table of endpoints, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from engine.connectors.web.api import Endpoint, Parameter
from engine.connectors.web.health import engine_version
from engine.records.state import Danger, DeliveryState, HoldState, MessageState, OrderState, ReportState, StudyState

Json = dict[str, Any]

_S: Final[Json] = {"type": "string"}
_N: Final[Json] = {"type": "integer"}
_B: Final[Json] = {"type": "boolean"}
_O: Final[Json] = {"type": "object"}
_AT: Final[Json] = {"type": "string", "format": "date-time"}
_STRINGS: Final[Json] = {"type": "array", "items": _S}
_OS: Final[Json] = {"type": "array", "items": _O}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str) -> Json:
    return {"type": "array", "items": _ref(name)}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _page(key: str, of: str, *, total: bool = True) -> Json:
    return _object(
        **{key: _list(of)}, **({"total": _N} if total else {}), next={**_or_null(_S), "description": "Give as `after`."}
    )


def _enum(of: Iterable[str], *more: str) -> Json:
    return {"type": "string", "enum": [*of, *more]}


_ORDER_HEAD: Final[Json] = {
    "id": _N,
    "accession_number": _S,
    "accession_issuer": _S,
    "state": _enum(OrderState),
    "placer_number": _S,
    "filler_number": _S,
    "priority": _S,
    "placed_at": _AT,
}
_STUDY_HEAD: Final[Json] = {
    "id": _N,
    "study_uid": _S,
    "state": _enum(StudyState, "HELD"),
    "series": _N,
    "instances": _N,
    "modalities": _STRINGS,
    "description": _S,
    "study_date": _S,
    "study_time": _S,
    "accession_number": _S,
    "accession_issuer": _S,
    "source_ae": _S,
    "images_say": _O,
    "first_received_at": _AT,
    "last_received_at": _AT,
    "completed_at": _or_null(_AT),
}
_REPORT_HEAD: Final[Json] = {
    "id": _N,
    "number": _S,
    "state": _enum(ReportState),
    "version": _N,
    "versions": _N,
    "title": _S,
    "procedure": _S,
    "issued": {**_S, "description": "A DICOM DT value, as the sender says it."},
    "interpreter": _S,
    "text_length": _N,
    "attachments": _list("Attachment"),
    "link": _or_null(_O),
    "newer_images_at": _or_null(_AT),
    "received_at": _AT,
    "at": _AT,
}
_MESSAGE_HEAD: Final[Json] = {
    "id": _N,
    "received_at": _AT,
    "kind": _S,
    "listener": _S,
    "peer": _S,
    "sender": _S,
    "control_id": _S,
    "type": _S,
    "state": _enum(MessageState),
    "code": _S,
    "text": _S,
    "place": _S,
    "size": _N,
    "routes": _STRINGS,
    "revision": _S,
}
_NOTICE_HEAD: Final[Json] = {
    "id": _N,
    "to": _S,
    "event": _S,
    "state": _enum(DeliveryState),
    "attempts": _N,
    "answer": _or_null(_S),
    "answer_text": _S,
    "kind": _S,
    "route": _S,
    "control_id": _S,
    "order_id": _or_null(_N),
    "created_at": _AT,
    "first_tried_at": _or_null(_AT),
    "last_tried_at": _or_null(_AT),
    "due_at": _AT,
}
_PATIENT: Final = {
    **_object(id=_S, issuer=_S, name=_S, birth_date=_S, sex=_S, state=_S, row=_N),
    "description": "As DICOM writes it: name as PN, birth date as YYYYMMDD, sex as F, M or O.",
}
_SCHEMAS: Final[Json] = {
    "Overview": _object(ready=_B, checks=_OS, listeners=_OS, lanes=_OS, counts=_O),
    "Problem": {
        **_object(type=_S, title=_S, status=_N, code=_S, detail=_S),
        "description": "RFC 9457. `incident` is given for failures of ours, `choices` where one must be chosen.",
    },
    "Patient": _PATIENT,
    "Step": _object(
        sps_id=_S,
        state=_S,
        station_ae={**_S, "description": "Several are parted by a backslash."},
        modality=_S,
        start={**_or_null(_S), "description": "ISO 8601 in UTC; a mere date when no hour is known."},
        missing=_S,
    ),
    "Procedure": _object(
        rp_id=_S, study_uid=_S, state=_enum(OrderState), code=_S, code_system=_S, description=_S, steps=_list("Step")
    ),
    "Link": _object(id=_N, rule=_S, reason=_S, evidence=_O, linked_by=_S, at=_AT, undone_at=_or_null(_AT), rp_id=_S),
    "OrderShort": _object(
        **_ORDER_HEAD, patient=_or_null(_ref("Patient")), procedures=_N, study_uids=_STRINGS, descriptions=_STRINGS
    ),
    "OrderStudy": _object(**_STUDY_HEAD, link=_or_null(_ref("Link")), rp_ids=_STRINGS),
    "Order": _object(
        **_ORDER_HEAD,
        patient=_or_null(_ref("Patient")),
        procedures=_list("Procedure"),
        studies=_list("OrderStudy"),
        reports=_list("ReportShort"),
        notices=_list("NoticeShort"),
        holds=_list("Hold"),
        events=_list("Event"),
        messages=_list("MessageShort"),
    ),
    "Attachment": _object(
        id=_N,
        title=_S,
        media_type=_S,
        said_type=_S,
        pointer={**_or_null(_S), "description": "Where the document is, when it is not here; never fetched."},
        size=_N,
    ),
    "ReportShort": _object(**_REPORT_HEAD),
    "Report": _object(
        **_REPORT_HEAD,
        text=_S,
        patient=_or_null(_ref("Patient")),
        says=_O,
        sender=_S,
        identifiers=_OS,
        orders=_OS,
        links=_OS,
        version_list=_OS,
        holds=_list("Hold"),
    ),
    "OrderList": _page("orders", "OrderShort"),
    "StudyShort": _object(**_STUDY_HEAD, linked=_B, open_holds=_N),
    "StudyList": _page("studies", "StudyShort", total=False),
    "Study": _object(
        **_STUDY_HEAD,
        patient=_or_null(_ref("Patient")),
        link=_or_null(_ref("Link")),
        links=_list("Link"),
        orders={"type": "array", "items": _O},
        series_list={"type": "array", "items": _O},
        notices=_list("NoticeShort"),
        holds=_list("Hold"),
        events=_list("Event"),
    ),
    "Hold": _object(
        id=_N,
        code=_S,
        danger=_enum(Danger),
        state=_enum(HoldState),
        reason=_S,
        advice=_S,
        evidence=_O,
        study_uid=_or_null(_S),
        order_id=_or_null(_N),
        report_id=_or_null(_N),
        message_id=_or_null(_N),
        raised_at=_AT,
        resolved_at=_or_null(_AT),
        resolution=_S,
    ),
    "HoldList": _page("holds", "Hold"),
    "Event": _object(id=_N, at=_AT, name=_S, cause=_object(kind=_S, id=_N), detail=_S),
    "MessageShort": _object(**_MESSAGE_HEAD),
    "MessageList": _page("messages", "MessageShort", total=False),
    "Segment": _object(name=_S, fields=_STRINGS),
    "Message": _object(
        **_MESSAGE_HEAD,
        body_base64=_or_null(_S),
        body_text=_S,
        truncated=_B,
        segments=_list("Segment"),
        answer_text=_S,
        changed={"type": "array", "items": _object(kind=_S, id=_or_null(_N), name=_S)},
        notices=_list("NoticeShort"),
        validation={
            "type": "array",
            "items": _object(place=_S, code=_S, text=_S, severity={"type": "string", "enum": ["E", "W", "I"]}),
            "description": "What validation found; `place` is an HL7 location such as PID^1^3.",
        },
    ),
    "NoticeShort": _object(**_NOTICE_HEAD),
    "NoticeList": _page("notices", "NoticeShort", total=False),
    "Notice": _object(**_NOTICE_HEAD, body_base64=_S, body_text=_S, segments=_list("Segment"), reply_text=_S),
}


def document(endpoints: Iterable[Endpoint]) -> Json:
    """Return the OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Isthmus",
            "version": engine_version(),
            "description": "Orders, images, notices and messages as they stand. Times are ISO 8601 in UTC.",
        },
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in endpoints},
        "components": {"schemas": _SCHEMAS},
    }


def _operation(of: Endpoint) -> Json:
    content = (
        {"application/json": {"schema": _ref(of.answer)}}
        if of.answer
        else {media: {"schema": {"type": "string", "format": "binary"}} for media in ("*/*",)}
    )
    problem = {"application/problem+json": {"schema": _ref("Problem")}}
    refusals = {str(status): {"description": "Refused.", "content": problem} for status in (400, *of.refusals)}
    return {
        "summary": of.summary,
        "parameters": [_parameter(each) for each in of.parameters],
        "responses": {"200": {"description": "As asked.", "content": content}, **refusals},
    }


def _parameter(of: Parameter) -> Json:
    return {
        "name": of.name,
        "in": "path" if of.in_path else "query",
        "required": of.in_path,
        "description": of.text,
        "schema": of.schema,
    }
