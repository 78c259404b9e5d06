"""Which presentation contexts an acceptor takes, and whether it may talk at all.

Source: DICOM PS3.8 sections 7.1.1.13, 9.3.3.2 and 9.3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from engine.dicom.errors import UnsupportedApplicationContext, UnsupportedProtocolVersion
from engine.dicom.pdu import APPLICATION_CONTEXT, AssociateReject, AssociateRequest, ContextResult, ProposedContext

ACCEPTED: Final = 0
ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 4

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"

CALLED_AE_UNKNOWN: Final = AssociateReject(1, 1, 7)
CALLING_AE_UNKNOWN: Final = AssociateReject(1, 1, 3)
TOO_MANY_ASSOCIATIONS: Final = AssociateReject(2, 3, 2)
CONGESTED: Final = AssociateReject(2, 3, 1)

Supported = Callable[[str], Collection[str] | None]
"""Abstract syntax → transfer syntaxes taken for it; None when it is not supported."""


def negotiate(proposed: Iterable[ProposedContext], supported: Supported) -> tuple[ContextResult, ...]:
    """Answer every proposed context; the proposer's first transfer syntax that we take wins.

    So a sender that prefers what it holds is never asked to transcode: objects are stored as received.
    The transfer syntax of a refused context is not significant, Implicit VR Little Endian stands there.
    """
    results = []
    for context in proposed:
        taken = supported(context.abstract_syntax)
        if taken is None:
            results.append(ContextResult(context.context_id, ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_VR_LITTLE_ENDIAN))
            continue
        for syntax in context.transfer_syntaxes:
            if syntax in taken:
                results.append(ContextResult(context.context_id, ACCEPTED, syntax))
                break
        else:
            results.append(
                ContextResult(context.context_id, TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_VR_LITTLE_ENDIAN)
            )
    return tuple(results)


def refusal(
    request: AssociateRequest,
) -> tuple[AssociateReject, UnsupportedProtocolVersion | UnsupportedApplicationContext] | None:
    """Return why the service provider itself refuses the request; None when it does not."""
    if not request.protocol_version & 1:
        return AssociateReject(1, 2, 2), UnsupportedProtocolVersion()
    if request.application_context != APPLICATION_CONTEXT:
        return AssociateReject(1, 1, 2), UnsupportedApplicationContext()
    return None
