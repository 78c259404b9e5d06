"""What a file under routes/ may say, and its compilation."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.config.route import Apply, Destination, Kind, Retry, Route, Validate
from engine.config.sender import SenderWays, compile_ways
from engine.config.settings import Duration, Settings
from engine.core.ids import PeerName, RouteName
from engine.hl7.profile import Profile
from engine.mapping.compile import Compiled, Environment, SourceKind, compile_expression
from engine.mapping.context import Context
from engine.mapping.expression import AllOf, Comparison, Expression, FirstOf, Literally, Membership, PathText, Several
from engine.mapping.fault import MappingFault, Refused
from engine.mapping.mapping import Mapping, Source
from engine.mapping.parser import parse_expression
from engine.mapping.place import Document, Flaw, KeyPath, Place
from engine.mapping.rule import Rule
from engine.mapping.scope import Scope
from engine.mapping.table import Table
from engine.mapping.value import as_text, has_value

_SOURCES: dict[Kind, SourceKind] = {"mllp": "hl7v2", "fhir": "fhir", "event": "event"}


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Origin(_Section):
    """Where a route takes from: exactly one of these."""

    mllp: str | None = None
    """A listener under `listeners: mllp:` of isthmus.yaml."""
    fhir: str | None = None
    """A resource type."""
    event: str | Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = None
    """The name of an event, such as `study.completed`, or several."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(said is not None for said in (self.mllp, self.fhir, self.event)) != 1:
            raise ValueError("one of mllp, fhir and event")
        return self

    @property
    def kind(self) -> Kind:
        """Which of them."""
        return "mllp" if self.mllp is not None else "fhir" if self.fhir is not None else "event"

    @property
    def name(self) -> str:
        """What it names."""
        return self.mllp or self.fhir or self.events[0]

    @property
    def events(self) -> tuple[str, ...]:
        """The events it names."""
        return (self.event,) if isinstance(self.event, str) else self.event or ()


class RetryPolicy(_Section):
    """How long to try; waits double from `first` to `max`."""

    first_s: Duration = Field(default=1.0, alias="first")
    max_s: Duration = Field(default=60.0, alias="max")
    give_up_after_s: Duration | None = Field(default=None, alias="give_up_after")


class Receiver(_Section):
    """Who is told."""

    mllp: str
    """A destination under `destinations: mllp:` of isthmus.yaml."""
    order_by: str | None = None
    """An expression: what must arrive in order has the same value."""
    retry: RetryPolicy = RetryPolicy()


class RouteDocument(SenderWays):
    """The whole of a file under routes/."""

    route: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=64)]
    description: str = ""
    enabled: bool = True
    origin: Origin = Field(alias="from")
    when: str | None = None
    map: str | None = None
    """A mapping; a message route without one sends on what came in."""
    apply: Literal["order", "patient", "merge", "report", "appointment"] | None = None
    to: tuple[Receiver, ...] = Field(default=(), strict=False)
    validate_by: Validate = Field(default="off", alias="validate")
    """`warn` keeps what is wrong with a message and tells its sender; `strict` refuses the message for it."""
    profile: str | None = None
    """A file beside the route, `….profile.yaml`: what `validate:` looks for besides the standard."""
    senders: dict[str, SenderWays] = Field(default_factory=dict)
    """`MSH-3/MSH-4` of a sender → its own ways, before those of the route."""


def compile_route(
    said: RouteDocument,
    document: Document,
    *,
    settings: Settings,
    mappings: Dict[str, Mapping],
    tables: Dict[str, Table],
    flaws: list[Flaw],
    profiles: Dict[str, Profile] = MappingProxyType({}),
) -> Route:
    """Return a route; what it names wrongly is added to `flaws`."""
    _check_names(said, document, settings, mappings, flaws)
    _check_validation(said, document, profiles, flaws)
    kind = said.origin.kind
    environment = Environment(source=_SOURCES[kind], tables=tables, flaws=flaws)

    def expression(text: str, at: KeyPath) -> Compiled:
        return compile_expression(text, environment, document.place(at))

    place = document.place(("route",))
    destinations = []
    for index, receiver in enumerate(said.to):
        by = receiver.order_by
        key = None if by is None else _key(expression(by, ("to", index, "order_by")), place)
        policy = receiver.retry
        retry = Retry(first_s=policy.first_s, max_s=policy.max_s, give_up_after_s=policy.give_up_after_s)
        destinations.append(Destination(kind="mllp", name=PeerName(receiver.mllp), retry=retry, order_by=key))
    when = None if said.when is None else expression(said.when, ("when",))
    return Route(
        name=RouteName(said.route),
        file=document.file,
        line=place.line,
        kind=kind,
        listener=said.origin.name,
        also=said.origin.events[1:],
        mapping=None if said.map is None else mappings.get(said.map),
        apply=said.apply,
        ways=compile_ways(said, said.senders),
        destinations=tuple(destinations),
        when=None if when is None else _condition(when, document.place(("when",))),
        types=_types(said.when) if kind == "mllp" and when is not None else frozenset(),
        only=_only(said.when) if kind == "mllp" and when is not None else None,
        validate=said.validate_by,
        profile=None if said.profile is None else profiles.get(said.profile),
    )


def _check_names(
    said: RouteDocument, document: Document, settings: Settings, mappings: Dict[str, Mapping], flaws: list[Flaw]
) -> None:
    def flaw(at: KeyPath, code: str, text: str) -> None:
        flaws.append(Flaw(document.place(at), code, text))

    origin = said.origin
    for key in ("control", "answers", "siu_cancel_cancels_order", "senders"):
        if key in said.model_fields_set and said.apply not in ("order", "appointment"):
            flaw((key,), "CFG-106", f"'{key}' must be left out of a route that applies neither orders nor appointments")
    if origin.mllp is not None and origin.mllp not in settings.listeners.mllp:
        flaw(("from", "mllp"), "CFG-105", f"'listeners.mllp.{origin.mllp}' is required")
    for index, receiver in enumerate(said.to):
        if receiver.mllp not in settings.destinations.mllp:
            flaw(("to", index, "mllp"), "CFG-105", f"'destinations.mllp.{receiver.mllp}' is required")
    if bool(said.apply) == bool(said.to):
        flaw(("route",), "CFG-106", "the route must be either one with apply or one with to")
        return
    if said.apply is not None and origin.kind == "event":
        flaw(("apply",), "CFG-106", "'apply' must be left out of a route on an event")
    if said.map is None:
        if said.apply is not None or origin.kind != "mllp":
            flaw((), "CFG-105", "'map' is required")
        return
    mapping = mappings.get(said.map)
    if mapping is None:
        flaw(("map",), "CFG-112", f"'{said.map}.yaml' does not exist under mappings/")
        return
    wanted: Apply | Literal["hl7v2"] = said.apply or "hl7v2"
    source = _SOURCES[origin.kind]
    if (mapping.source, mapping.target) != (source, wanted):
        has = f"'{said.map}' is from {mapping.source} to {mapping.target}"
        flaw(("map",), "CFG-106", f"'map' must be a mapping from {source} to {wanted}; {has}")


def _check_validation(said: RouteDocument, document: Document, profiles: Dict[str, Profile], flaws: list[Flaw]) -> None:
    if said.validate_by != "off" and said.origin.kind != "mllp":
        flaws.append(Flaw(document.place(("validate",)), "CFG-106", "'validate' must be left out unless from is mllp"))
    if said.profile is None:
        return
    place = document.place(("profile",))
    if said.profile not in profiles:
        flaws.append(Flaw(place, "CFG-112", f"'{said.profile}' does not exist under routes/"))
    if said.validate_by == "off":
        flaws.append(Flaw(place, "CFG-106", "'profile' must stand beside validate: warn or validate: strict"))


def _condition(compiled: Compiled, place: Place) -> Callable[[Source, Context], bool]:
    rule = Rule(number=0, target="when", read=compiled.read, paths=compiled.paths, place=place)

    def holds(source: Source, context: Context) -> bool:
        scope = Scope.of(source, context)
        try:
            return has_value(rule.read(scope))
        except Refused as refused:
            raise rule.fault(scope, refused) from refused

    return holds


def _key(compiled: Compiled, place: Place) -> Callable[[Source, Context], str]:
    rule = Rule(number=0, target="order_by", read=compiled.read, paths=compiled.paths, place=place)

    def key(source: Source, context: Context) -> str:
        scope = Scope.of(source, context)
        try:
            value = rule.read(scope)
            text = as_text(value)
        except Refused as refused:
            raise rule.fault(scope, refused) from refused
        except TypeError as cause:
            raise MappingFault("order_by does not give one value", file=place.file, line=place.line) from cause
        return text if isinstance(text, str) else ""

    return key


def _types(when: str | None) -> frozenset[str]:
    """Return the message types (MSH-9.1) that a condition names, so that a sender hears what was wrong: type or event.

    The condition was compiled before, so it parses or has a flaw already.
    """
    try:
        return frozenset(_named_types(parse_expression(when or "")))
    except ValueError:
        return frozenset()


def _only(when: str | None) -> frozenset[str] | None:
    """Return the message types that a condition cannot do without, so that most routes need not be asked at all."""
    try:
        return _needed_types(parse_expression(when or ""))
    except ValueError:
        return None


def _needed_types(part: Expression) -> frozenset[str] | None:
    match part:
        case AllOf(items):
            needed = [types for types in map(_needed_types, items) if types is not None]
            return frozenset.intersection(*needed) if needed else None
        case FirstOf(items):
            needed = [types for types in map(_needed_types, items) if types is not None]
            return frozenset.union(*needed) if len(needed) == len(items) else None
        case Comparison() | Membership():
            return frozenset(_named_types(part)) or None
        case _:
            return None


def _named_types(part: Expression) -> list[str]:
    match part:
        case FirstOf(items) | AllOf(items):
            return [name for item in items for name in _named_types(item)]
        case Comparison(PathText("MSH-9.1" | "MSH-9"), "==", Literally(str() as name)):
            return [name]
        case Membership(PathText("MSH-9.1" | "MSH-9"), Several(items), False):
            return [item.value for item in items if isinstance(item, Literally) and isinstance(item.value, str)]
        case _:
            return []
