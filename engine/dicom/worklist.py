"""A Modality Worklist query: reading its identifier, choosing items, writing the responses.

An item of the worklist is a tree (see `tree`), made by the broker when a step changes. A query is compiled once, then
`matches` and `answer` run per item.
Source: DICOM PS3.4 K.6.1, PS3.4 C.2.2; spec/worklist.md section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.dicom.dataset_error import IdentifierTooLarge, MalformedIdentifier, UnreadableDataSet
from engine.dicom.dictionary import keyword_of
from engine.dicom.encode import Encoder, best_encoding, declared
from engine.dicom.key import Key, KeyReader
from engine.dicom.matching import is_wildcard
from engine.dicom.scanner import EVERYTHING, EXPLICIT_BIG, scan_to
from engine.dicom.temporal import key_span
from engine.dicom.text import character_sets
from engine.dicom.tree import Tree, Value

PENDING: Final = 0xFF00
PENDING_WITH_UNSUPPORTED_KEYS: Final = 0xFF01
DEFAULT_CHARSETS: Final = ("ISO_IR 192",)

_STEPS: Final = 0x00400100
_MODALITY: Final = 0x00080060
_ONLY_IN_STEP: Final = frozenset(
    {*range(0x00400001, 0x0040000A), 0x00400010, 0x00400011, 0x00400012, 0x00400020, 0x00400400}
)
"""Attributes that stand inside Scheduled Procedure Step Sequence (0040,0100) and nowhere else."""
_STEP_ID: Final = "ScheduledProcedureStepID"
_NAMING: Final = frozenset(
    {"PatientID", "PatientName", "AccessionNumber", "RequestedProcedureID", "StudyInstanceUID", "AdmissionID"}
)
"""Keys of the root that name somebody or something."""


@dataclass(frozen=True, slots=True)
class Request:
    """A compiled query."""

    keys: tuple[Key, ...]
    unsupported: tuple[str, ...] = ()
    """Keywords of keys that had a value and are not matched."""
    _root: tuple[Key, ...] = field(init=False, repr=False)
    _step: tuple[Key, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        step = next((key.keys or () for key in self.keys if key.tag == _STEPS), ())
        object.__setattr__(self, "_root", tuple(key for key in self.keys if key.restricts))
        object.__setattr__(self, "_step", step)

    @classmethod
    def parse(cls, identifier: bytes, transfer_syntax: str, limits: Limits = DEFAULT_LIMITS) -> Request:
        """Read the identifier of a C-FIND request.

        Raises:
            UnreadableDataSet: DCM-110.
            MalformedIdentifier: DCM-120, a sequence with several items, or a step's attribute outside its sequence.
            BadKeyValue: DCM-121, a date or time that is none.
            IdentifierTooLarge: DCM-123.
        """
        if len(identifier) > limits.identifier_bytes:
            raise IdentifierTooLarge(limit=limits.identifier_bytes)
        found = scan_to(identifier, transfer_syntax, stop_before=EVERYTHING, limits=limits)
        elements = found.elements
        if found.end < len(identifier):
            raise UnreadableDataSet(offset=found.end, may_fall_back=False)
        for tag in _ONLY_IN_STEP.intersection(elements):
            raise MalformedIdentifier("key belongs into the step sequence", keyword=keyword_of(tag))
        if (
            _MODALITY in elements and elements[_MODALITY].value
        ):  # matched here, it would find nothing and say so to nobody
            raise MalformedIdentifier("key belongs into the step sequence", keyword=keyword_of(_MODALITY))
        reader = KeyReader(is_big_endian=transfer_syntax == EXPLICIT_BIG)
        keys = reader.keys(elements, ())
        return cls(keys=keys, unsupported=tuple(reader.unsupported))

    @property
    def patient_id(self) -> str | None:
        """The Patient ID to narrow a search by; None when any is accepted, or a wildcard."""
        return _exact(self._root, "PatientID")

    @property
    def accession_number(self) -> str | None:
        """The one accession number accepted, or None."""
        return _exact(self._root, "AccessionNumber")

    @property
    def rp_id(self) -> str | None:
        """The one Requested Procedure ID accepted, or None."""
        return _exact(self._root, "RequestedProcedureID")

    @property
    def study_uids(self) -> tuple[str, ...] | None:
        """The Study Instance UIDs accepted, or None for any."""
        key = _named(self._root, "StudyInstanceUID")
        return tuple(uid for uid in key.text.split("\\") if uid) if key is not None else None

    @property
    def sps_id(self) -> str | None:
        """The one Scheduled Procedure Step ID accepted, or None."""
        return _exact(self._step, _STEP_ID)

    @property
    def station_ae(self) -> str | None:
        """The one station AE title accepted, or None."""
        return _exact(self._step, "ScheduledStationAETitle")

    @property
    def modality(self) -> str | None:
        """The one modality accepted, or None."""
        return _exact(self._step, "Modality")

    @property
    def start_date(self) -> tuple[str | None, str | None]:
        """First and last start date accepted, YYYYMMDD, None for an open end."""
        key = _named(self._step, "ScheduledProcedureStepStartDate")
        span = key_span("DA", key.text) if key is not None else None
        if span is None:
            return None, None
        return tuple(end if end.isdigit() else None for end in span)  # type: ignore[return-value]  # two ends

    @property
    def has_date_key(self) -> bool:
        """Whether the query names a start date; if not, the engine's own window applies."""
        return _named(self._step, "ScheduledProcedureStepStartDate") is not None

    @property
    def is_specific(self) -> bool:
        """Whether the query names somebody or something, rather than asking for all there is."""
        return any(key.keyword in _NAMING for key in self._root) or _named(self._step, _STEP_ID) is not None

    @property
    def wants_status(self) -> bool:
        """Whether the query names a step status; if so, the default state gate does not apply."""
        return _named(self._step, "ScheduledProcedureStepStatus") is not None

    def matches(self, tree: Tree, also: Mapping[str, Sequence[str]] | None = None) -> bool:
        """Return whether a worklist item fulfils every key.

        Args:
            tree: The item.
            also: Further values under which attributes of the root are found, by keyword: the Patient IDs that were
                merged into this patient's.
        """
        return _match(self._root, tree, also)

    def answer(
        self, tree: Tree, transfer_syntax: str, charset_preference: Sequence[str] = DEFAULT_CHARSETS
    ) -> tuple[int, bytes]:
        """Return the pending status and the encoded identifier of the response for one item.

        Args:
            tree: The item.
            transfer_syntax: UID of the presentation context's.
            charset_preference: Values of (0008,0005) the peer reads, best first; several terms in one value are
                separated by backslashes. The default repertoire is used where it suffices.
        """
        choices = [character_sets(choice) for choice in charset_preference] or [DEFAULT_CHARSETS]
        body, sets = best_encoding(
            choices, lambda target, lossy: _respond(Encoder(transfer_syntax, target, lossy=lossy), self.keys, tree)
        )
        status = PENDING_WITH_UNSUPPORTED_KEYS if self.unsupported else PENDING
        return status, declared(transfer_syntax, sets) + body if sets else body


def _match(keys: Sequence[Key], tree: Tree, also: Mapping[str, Sequence[str]] | None = None) -> bool:
    for key in keys:
        value = tree.get(key.keyword)
        if key.keys is not None:
            items = cast("Sequence[Tree]", value or ())
            if key.restricts and not any(_match(key.keys, item) for item in items):
                return False
        elif key.accepts is not None:
            texts = (value,) if isinstance(value, str) else cast("Sequence[str]", value or ())
            if not key.accepts(texts) and not (also and key.accepts(also.get(key.keyword, ()))):
                return False
    return True


def _respond(encoder: Encoder, keys: Sequence[Key], tree: Tree) -> bytes:
    """Encode what was asked for: with its value, or zero length."""
    parts = []
    for key in keys:
        value: Value = tree.get(key.keyword)
        if value and key.keys:
            items = cast("Sequence[Tree]", value)
            parts.append(encoder.sequence(key.tag, [_respond(encoder, key.keys, item) for item in items]))
        else:
            parts.append(encoder.element(key.tag, key.vr, value, key.keyword))
    return b"".join(parts)


def _named(keys: Sequence[Key], keyword: str) -> Key | None:
    return next((key for key in keys if key.keyword == keyword and key.restricts), None)


def _exact(keys: Sequence[Key], keyword: str) -> str | None:
    key = _named(keys, keyword)
    if key is None or "\\" in key.text or is_wildcard(key.vr, key.text):
        return None
    return key.text
