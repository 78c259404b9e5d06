"""Whatever JSON comes: it is read or refused with a code, never an accident."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.broker.resource import _checked
from engine.core.limits import DEFAULT_LIMITS
from engine.core.outcomes import OUTCOMES
from engine.fhir.errors import ResourceRefused

_ELEMENTS = """
id status intent code coding system subject reference identifier value contained resourceType extension url valueString
category note text name given period start doNotPerform _status occurrenceDateTime meta
"""
_NAMES = st.sampled_from(_ELEMENTS.split())
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["active", "order", "Patient", "ServiceRequest", "#p", "Patient/1", "2026-11-21", "Nix"])
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=12
)


def _refusal(body: bytes) -> ResourceRefused | None:
    try:
        _checked(body, DEFAULT_LIMITS)
    except ResourceRefused as refused:
        return refused
    return None


@given(st.dictionaries(_NAMES, _VALUES, max_size=6))
def test_any_element_is_read_or_refused(elements: dict[str, Any]) -> None:
    base = {"status": "active", "intent": "order", "code": {"text": "CT"}, "subject": {"reference": "Patient/1"}}

    refused = _refusal(json.dumps({**base, **elements, "resourceType": "ServiceRequest"}).encode())

    assert all(OUTCOMES[issue.code].http for issue in refused.issues) if refused else True


@given(st.binary(max_size=64))
def test_any_bytes_are_refused(body: bytes) -> None:
    assert _refusal(body) is not None
