"""What a file under mappings/ may say."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.hl7.charset import codecs_of, is_undeclared
from engine.mapping.compile import SourceKind

TargetKind = Literal[
    "order",
    "patient",
    "visit",
    "step",
    "report",
    "result",
    "order_reference",
    "merge",
    "merge_pair",
    "clinical",
    "observation",
    "appointment",
    "service",
    "hl7v2",
    "fhir",
    "json",
]
SegmentName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2}$")]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Setting(_Section):
    """What a target field becomes: an expression, a literal, or what another mapping makes.

    Plain text is short for `value:`, a plain number or true/false for `text:`.
    """

    value: str | None = None
    """An expression."""
    text: str | int | float | bool | None = None
    """A literal."""
    use: str | None = None
    """Another mapping, run on the same source."""
    each: str | Annotated[tuple[SegmentName, ...], Field(min_length=1, max_length=2, strict=False)] | None = None
    """With `use`: one result for each group that starts with this segment (`[PID, MRG]`: as `each:` of a mapping), or
    for each item at this path."""
    at: str | None = None
    """With `use`: the part of the resource that the other mapping reads."""
    when: str | None = None
    """Otherwise the field is left alone."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(said is not None for said in (self.value, self.text, self.use)) != 1:
            raise ValueError("one of value, text and use")
        if self.use is None and (self.each is not None or self.at is not None):
            raise ValueError("a use when it has each or at")
        return self


def _in_full(said: object) -> object:
    if isinstance(said, str):
        return {"value": said}
    if isinstance(said, int | float):
        return {"text": said}
    return said


def _charset(name: str) -> str:
    if not codecs_of(name) and not is_undeclared(name):
        raise ValueError("a character set of HL7 table 0211, for example 8859/1")
    return name


class Options(_Section):
    """How the mapping reads its source."""

    null_is_empty: bool = False
    """Read an explicit null (`""`) as empty: for senders who write it everywhere. Also inside mappings it uses."""
    all_or_none: tuple[SegmentName, ...] = Field(default=(), strict=False)
    """Segments that every group of `each:` must have, or none (one ZDS for two orders says too little)."""

    own: tuple[SegmentName, ...] = Field(default=(), strict=False)
    """Segments that a group sees only if they are its own: an NTE before the first order is the patient's."""
    new_control_id: bool = False
    """With `copy: all`: MSH-7 and MSH-10 are ours, as they must be where MSH-3 says that we are the sender."""


class MappingDocument(_Section):
    """The whole of a file under mappings/."""

    source: SourceKind = Field(alias="from")
    target: TargetKind = Field(alias="to")
    description: str = ""
    each: str | Annotated[tuple[SegmentName, ...], Field(min_length=1, max_length=3, strict=False)] | None = None
    """HL7: the segment that starts a group, `[ORC, OBR]`, or `[PID, ORC, OBR]` where a message may speak of several
    patients and has an OBR at least. Others: the path of a list."""
    when: str | None = None
    """Groups for which this has no value are left out."""
    options: Options = Options()
    message: Annotated[str, Field(pattern=r"^[A-Z]{3}\^[A-Z0-9]{3}(\^[A-Z0-9_]{3,7})?$")] | None = None
    """For `to: hl7v2`: MSH-9."""
    version: Annotated[str, Field(pattern=r"^2\.[1-9](\.[12])?$")] = "2.5.1"
    charset: Annotated[str, AfterValidator(_charset)] = "UNICODE UTF-8"
    """For `to: hl7v2`: MSH-18."""
    copy_of: Literal["all"] | None = Field(default=None, alias="copy")
    """From hl7v2 to hl7v2: `all` sends on what came in byte for byte, but for the fields under `set:`."""
    resource: str | None = None
    """For `to: fhir`: resourceType."""
    rules: dict[str, Annotated[Setting, BeforeValidator(_in_full)]] = Field(alias="set", min_length=1)

    @model_validator(mode="after")
    def _head_fits_target(self) -> Self:
        if self.copy_of is not None and (self.source, self.target, self.message, self.each) != (
            "hl7v2",
            "hl7v2",
            None,
            None,
        ):
            raise ValueError("a mapping from hl7v2 to hl7v2 without message: and each: when it has copy")
        if (self.target == "hl7v2") != (self.message is not None or self.copy_of is not None):
            raise ValueError("a mapping with message: when it is to hl7v2, and only then")
        if self.options.new_control_id and self.copy_of is None:
            raise ValueError("a mapping with copy: all when it has options.new_control_id")
        return self
