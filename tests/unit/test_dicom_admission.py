"""Who a listener lets in, and with which words others are turned away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.connectors.dicom.admission import Admission
from engine.core.limits import DEFAULT_LIMITS
from engine.dicom.pdu import AssociateReject, AssociateRequest
from engine.dicom.user_information import UserInformation

REQUEST = AssociateRequest(called_ae="ISTHMUS", calling_ae="CT1", contexts=(), user=UserInformation())


def door(**options: object) -> Admission:
    chosen: dict[str, object] = {
        "name": "test",
        "ae_title": " ISTHMUS ",
        "services": (),
        "limits": replace(DEFAULT_LIMITS, associations=3, associations_per_ae=2),
        "strict_ae": True,
        "allowed_calling": None,
        **options,
    }
    return Admission(**chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "request_", "reject", "code"),
    [
        ({}, replace(REQUEST, protocol_version=2), (1, 2, 2), "DCM-101"),
        ({}, replace(REQUEST, application_context="1.2"), (1, 1, 2), "DCM-102"),
        ({}, replace(REQUEST, called_ae="isthmus"), (1, 1, 7), "SEC-120"),
        ({}, replace(REQUEST, called_ae=""), (1, 1, 7), "SEC-120"),
        ({"allowed_calling": frozenset({"MR1"})}, REQUEST, (1, 1, 3), "SEC-121"),
        ({"allowed_calling": frozenset()}, REQUEST, (1, 1, 3), "SEC-121"),
    ],
)
def test_who_is_turned_away(
    options: dict[str, object], request_: AssociateRequest, reject: tuple[int, int, int], code: str
) -> None:
    admission = door(**options)

    assert admission.refusal(request_) == (AssociateReject(*reject), code)
    assert admission.refused_associations == 1


def test_who_is_let_in() -> None:
    assert door().refusal(REQUEST) is None
    assert door(strict_ae=False).refusal(replace(REQUEST, called_ae="../../x")) is None
    assert door(allowed_calling=frozenset({"CT1"})).refusal(REQUEST) is None


def test_limits_per_title_and_together_and_a_place_is_free_again() -> None:
    admission = door()
    full = (AssociateReject(2, 3, 2), "NET-120")
    admission.accepted("CT1")
    admission.accepted("CT1")

    assert admission.refusal(REQUEST) == full
    assert admission.refusal(replace(REQUEST, calling_ae="MR1")) is None
    admission.accepted("MR1")
    assert admission.refusal(replace(REQUEST, calling_ae="XA1")) == full
    admission.ended("CT1")
    assert admission.refusal(REQUEST) is None
    assert (admission.open_associations, admission.accepted_associations) == (2, 3)


def test_a_listener_that_stops_takes_nobody() -> None:
    admission = door()
    admission.is_draining = True

    assert admission.refusal(REQUEST) == (AssociateReject(2, 3, 1), "NET-121")


def test_associations_are_numbered() -> None:
    admission = door()

    assert [admission.next_association_id() for _ in range(3)] == [1, 2, 3]
