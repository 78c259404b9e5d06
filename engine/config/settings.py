"""What `isthmus.yaml` may say: one model for validation, JSON Schema and the reference page.

Every value has a default, so an empty file (and no file) is the shipped default site.
Durations are written `500ms`, `30s`, `5m`, `72h`, `7d`; sizes `64KiB`, `20MB`, `4GiB`.
Plain numbers are seconds and bytes.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator, with_config

from engine.config.unit import duration_s, size_bytes
from engine.core.limits import DEFAULT_LIMITS, Limits
from engine.hl7.charset import codecs_of, is_undeclared
from engine.mapping.outgoing import Dialect
from engine.records.issuer import Issuer, IssuerTable

Duration = Annotated[float, BeforeValidator(duration_s), Field(ge=0)]
"""Seconds [s]; written with a unit."""

Size = Annotated[int, BeforeValidator(size_bytes), Field(ge=0)]
"""Bytes; written with a unit."""

Port = Annotated[int, Field(ge=0, le=65535)]
"""A TCP port; 0 lets the system choose a free one."""

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[^\\\x00-\x1f]+$")]
"""A DICOM application entity title. Source: PS3.5 table 6.2-1, AE."""

_MODALITIES = tuple("CR CT DX ES IO MG MR NM OP OT PT PX RF SC SM US XA XC ECG".split())  # noqa: SIM905 - reads best


StationGroup = Annotated[tuple[AeTitle, ...], Field(min_length=1, strict=False)]
"""AE titles, any of which may take a step."""


def _shipped_groups() -> dict[str, tuple[str, ...]]:
    return {modality: (f"{modality}1",) for modality in _MODALITIES}


class Section(BaseModel):
    """A part of the settings: strict, closed, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=False)


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError as cause:
        raise ValueError("an address or network, for example 10.1.2.0/24") from cause
    return text


def _charset(name: str) -> str:
    if not codecs_of(name):
        raise ValueError("a character set of HL7 table 0211, for example 8859/1")
    return name


def _written_charset(name: str) -> str:
    return name if is_undeclared(name) else _charset(name)


def _listed(said: object) -> object:
    return (said,) if isinstance(said, str) else said


Network = Annotated[str, AfterValidator(_network)]
"""An IP address or network, such as `10.1.2.3` or `10.1.2.0/24`."""

Charset = Annotated[str, AfterValidator(_charset)]
"""A name of HL7 table 0211."""

WrittenCharset = Annotated[str, AfterValidator(_written_charset)]
"""A name of HL7 table 0211, ASCII too."""

FilePath = Annotated[str, Field(min_length=1)]
"""A file; one that is not absolute lies in the site's folder."""

TlsVersion = Annotated[Literal["1.2", "1.3"], BeforeValidator(lambda said: str(said) if said in (1.2, 1.3) else said)]


class ListenerTls(Section):
    """TLS of a listener. Changed files count for the next connection, without a restart."""

    certificate: FilePath
    """PEM: ours, then the chain that leads to the root."""
    key: FilePath
    """PEM, of mode 0600."""
    client_ca: FilePath | None = None
    """PEM: only peers with a certificate of these authorities may connect (mutual TLS)."""
    minimum: TlsVersion = "1.2"


class DestinationTls(Section):
    """TLS towards a destination. Changed files count for the next connection, without a restart."""

    ca: FilePath | None = None
    """PEM: authorities that its certificate must come from; None takes those of the operating system."""
    certificate: FilePath | None = None
    """PEM: what we show when it asks who we are (mutual TLS)."""
    key: FilePath | None = None
    """PEM, of mode 0600."""
    server_name: str | None = None
    """Name that its certificate must have; None takes `host`."""
    minimum: TlsVersion = "1.2"

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("a section with both certificate and key, or neither")
        return self


class MllpListener(Section):
    """A port that takes HL7 v2 over MLLP."""

    port: Port = 2575
    host: str = "127.0.0.1"
    tls: ListenerTls | None = None
    """MLLP inside TLS; None listens in plain text."""
    allow_plaintext: bool = False
    """Needed to listen without TLS on an address that others can reach; `allow_from` must then say who."""
    allow_from: tuple[Network, ...] | None = Field(default=None, strict=False)
    """Addresses and networks that may connect; None lets everybody in, [] nobody."""
    charsets: Annotated[
        tuple[Charset, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str]), Field(strict=False)
    ] = Field(default=(), alias="default_charset")
    """What a message without MSH-18 is written in, or several in the order they are tried.

    They are also tried when a message does not fit what MSH-18 says. Without any, UTF-8 and Windows-1252 are tried.
    """
    default_issuer: str | None = None
    """Issuer key of identifiers without an assigning authority; None takes the site's."""
    end_block: Literal["strict", "lenient"] = "strict"
    """`lenient` takes a message whose 1C is not followed by 0D."""
    allow_unframed: bool = False
    """Take messages without start block; they end where nothing comes for 500 ms."""
    accept_eof_as_end: bool = False
    """Take a message that ends in CR but has no end block when the sender closes."""
    max_message: Annotated[Size, Field(ge=1024)] = DEFAULT_LIMITS.mllp_message_bytes
    """Longest message [bytes]."""
    batch_answer: Literal["messages", "batch"] = "messages"
    """How a batch is answered: message by message, or with one batch whose BHS-12 names it."""
    blank_ack_condition: Literal["NE", "AL"] = "NE"
    """What one of MSH-15 and MSH-16 means when it is blank while the other has a value."""
    processing_ids: tuple[Literal["P", "T", "D"], ...] = Field(default=("P",), strict=False)
    """MSH-11 values that are taken; an empty one always is."""

    @property
    def default_charset(self) -> str | None:
        """Return `default_charset:` as MSH-18 would list it."""
        return "~".join(self.charsets) or None


class DicomListener(Section):
    """A port that takes DICOM associations."""

    port: Port = 11112
    host: str = "127.0.0.1"
    ae_title: AeTitle = "ISTHMUS"
    strict_ae: bool = False
    """Refuse associations that call another AE title than ours."""
    allowed_calling: tuple[AeTitle, ...] | None = Field(default=None, strict=False)
    """Calling AE titles that are let in; None lets everybody in."""
    default_issuer: str | None = None


class HttpListener(Section):
    """The port of pages, FHIR, API, metrics and health."""

    port: Port = 8080
    host: str = "127.0.0.1"


class Listeners(Section):
    """Everything that listens. A name under `mllp:` or `dicom:` is what routes refer to."""

    mllp: dict[str, MllpListener] = Field(default_factory=lambda: {"his": MllpListener()})
    dicom: dict[str, DicomListener] = Field(default_factory=lambda: {"archive": DicomListener()})
    http: HttpListener = HttpListener()


class MllpDestination(Section):
    """A system that we send HL7 v2 to."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 2576
    tls: DestinationTls | None = None
    """MLLP inside TLS; None sends in plain text."""
    ack_timeout_s: Duration = Field(default=30.0, alias="ack_timeout")
    ack_match: Literal["exact", "prefix"] = "exact"
    """`prefix` takes an answer whose MSA-2 is our MSH-10 cut off after 20 characters or more."""
    version: Annotated[str, Field(pattern=r"^2\.[1-9](\.[12])?$")] | None = None
    """MSH-12; None leaves it to the mapping. `isthmus check` warns of what is sent that the version does not have."""
    charset: WrittenCharset | None = None
    """MSH-18, and what its messages are written in; None leaves it to the mapping."""
    application: str | None = None
    """MSH-5; None leaves it to the mapping."""
    facility: str | None = None
    """MSH-6; None leaves it to the mapping."""
    include_nulls: bool = False
    """Write `""` where a mapping has a field and nothing is known; otherwise such fields are empty."""
    transliterate: bool = False
    """Write what `charset` cannot carry in the nearest letters; otherwise such a notice is held."""

    @property
    def dialect(self) -> Dialect:
        """Return how it wants its messages."""
        return Dialect(
            version=self.version,
            charset=self.charset,
            application=self.application,
            facility=self.facility,
            include_nulls=self.include_nulls,
            transliterate=self.transliterate,
        )


class Destinations(Section):
    """Everything we send to. A name under `mllp:` is what routes refer to."""

    mllp: dict[str, MllpDestination] = Field(default_factory=lambda: {"ris": MllpDestination()})


class IssuerRow(Section):
    """One assigning authority under all of its names."""

    key: Annotated[str, Field(min_length=1)]
    namespaces: tuple[str, ...] = Field(default=(), strict=False)
    oid: Annotated[str, Field(pattern=r"^([0-2](\.(0|[1-9][0-9]*))+)?$", max_length=64)] = ""
    uri: str = ""


class Stations(Section):
    """Which AE titles take a step whose order names none.

    `groups` names sets of AE titles; a modality's default group is the one that `modality_default` gives it,
    else the group of its own name.
    """

    groups: dict[str, StationGroup] = Field(default_factory=_shipped_groups)
    modality_default: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _groups_exist(self) -> Self:
        for modality, group in self.modality_default.items():
            if group not in self.groups:
                raise ValueError(f"a map of modalities to names under stations.groups, unlike {modality}: {group}")
        return self

    def group(self, name: str) -> tuple[str, ...]:
        """Return the AE titles of a group; () when there is no such group."""
        return self.groups.get(name, ())

    def for_modality(self, modality: str) -> tuple[str, ...]:
        """Return the AE titles of the default group of a modality; () when it has none."""
        return self.groups.get(self.modality_default.get(modality, modality), ())


class Quiet(Section):
    """How long nothing may arrive before a study counts as complete [s]. A source AE title wins over a modality."""

    default_s: Duration = Field(default=60.0, alias="default")
    sources: dict[str, Duration] = Field(default_factory=dict)
    modalities: dict[str, Duration] = Field(default_factory=dict)

    def of(self, source_ae: str, modalities: tuple[str, ...] = ()) -> float:
        """Return the quiet time [s] of a study; of several modalities the slowest counts."""
        if source_ae in self.sources:
            return self.sources[source_ae]
        named = [self.modalities[modality] for modality in modalities if modality in self.modalities]
        return max(named) if named else self.default_s


class Orders(Section):
    """How orders are read."""

    nw_as_update: tuple[str, ...] = Field(default=(), strict=False)
    """Senders (`MSH-3/MSH-4`) whose repeated NW with other content counts as a change; others are refused with 205."""


class Worklist(Section):
    """What a modality sees when it asks."""

    max_results: Annotated[int, Field(ge=0)] = 200
    """Most answers to one query; 0 means no bound."""
    charset: str = "ISO_IR 192"
    """Specific Character Set of answers that do not fit the default repertoire."""
    days_back: Annotated[int, Field(ge=0)] = 3
    days_ahead: Annotated[int, Field(ge=0)] = 14
    """Window around today [days] for queries without a date."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings(Limits):
    """The engine's bounds, under `limits:`, by the names of engine/core/limits.py."""


def _limit_units(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {key: _limit_unit(str(key), item) for key, item in value.items()}


def _limit_unit(name: str, value: object) -> object:
    try:
        return duration_s(value) if name.endswith("_s") else size_bytes(value) if name.endswith("_bytes") else value
    except ValueError:
        return value  # the field's own check then says what it must be, at the right place


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:
        raise ValueError("a time zone name, for example Europe/Berlin") from cause
    return name


class SiteSettings(Section):
    """Who we are."""

    name: Annotated[str, Field(min_length=1)] = "ISTHMUS"
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """IANA name; what times without an offset mean."""
    default_issuer: str = ""
    """Issuer key of identifiers without an assigning authority."""


class Settings(Section):
    """The whole of `isthmus.yaml`."""

    model_config = ConfigDict(strict=False)  # its sections are strict; only so a dataclass is taken from keys

    site: SiteSettings = SiteSettings()
    listeners: Listeners = Listeners()
    destinations: Destinations = Destinations()
    issuers: tuple[IssuerRow, ...] = Field(default=(), strict=False)
    stations: Stations = Stations()
    quiet: Quiet = Quiet()
    orders: Orders = Orders()
    worklist: Worklist = Worklist()
    limits: Annotated[LimitSettings, BeforeValidator(_limit_units)] = LimitSettings()
    data: str = "data"
    """Folder of database and objects."""

    def issuer_table(self) -> IssuerTable:
        """Return `issuers:` as the table that every room uses."""
        return IssuerTable(
            tuple(Issuer(key=row.key, namespaces=row.namespaces, oid=row.oid, uri=row.uri) for row in self.issuers)
        )
