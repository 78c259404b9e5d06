"""A site: settings, routes, mappings and tables that belong together. All of it loads, or none of it does."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path

from engine.config.code_map import CodeMap
from engine.config.environment import overridden
from engine.config.finding import Finding
from engine.config.listening import listening_flaws
from engine.config.position import read_document
from engine.config.profile_document import ProfileDocument, compile_profile
from engine.config.route import Kind, Route
from engine.config.route_document import RouteDocument, compile_route
from engine.config.settings import Settings
from engine.config.source import SETTINGS_FILE, SiteFiles, shipped_folder
from engine.config.tables import PROCEDURES, read_code_map, read_table
from engine.config.validation import validated
from engine.config.version_check import destination_flaws, mapping_flaws
from engine.core.errors import ConfigError
from engine.core.ids import RouteName
from engine.hl7.profile import Profile
from engine.mapping.build import Entry, MappingBuilder
from engine.mapping.context import Context
from engine.mapping.document import MappingDocument
from engine.mapping.mapping import Mapping
from engine.mapping.place import Document, Flaw, Place
from engine.mapping.table import Table
from engine.records.issuer import IssuerTable


class SiteRejected(ConfigError):
    """A site's files cannot be used; `findings` says why, sorted by place."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        errors = [finding for finding in findings if finding.severity == "error"]
        super().__init__("\n".join(str(finding) for finding in errors), code=errors[0].code if errors else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything an integrator wrote, checked and compiled. Immutable: a reload makes a new one."""

    folder: Path | None
    """The site's own folder; None for the shipped default site."""
    settings: Settings
    issuers: IssuerTable
    code_map: CodeMap
    revision: str
    """SHA-256 over every file that was read, 64 hexadecimal digits."""
    routes: tuple[Route, ...] = ()
    """Those that are enabled, in order of their files."""
    all_routes: tuple[Route, ...] = ()
    """The disabled ones too."""
    mappings: Dict[str, Mapping] = field(default_factory=dict)
    tables: Dict[str, Table] = field(default_factory=dict)
    files: SiteFiles | None = None
    """Where everything was read from."""
    findings: tuple[Finding, ...] = ()
    """Warnings that did not stop it."""
    _by_source: Dict[tuple[str, str], tuple[Route, ...]] = field(default_factory=dict)

    def mapping(self, name: str) -> Mapping:
        """Return a mapping by its file name without suffix.

        Raises:
            ConfigError: CFG-112, there is no such file.
        """
        found = self.mappings.get(name)
        if found is None:
            raise ConfigError(f"'{name}.yaml' does not exist under mappings/", code="CFG-112")
        return found

    def message_routes(self, kind: Kind, listener: str) -> tuple[Route, ...]:
        """Return the routes of what a listener takes: ('mllp', listener name) or ('fhir', resource type)."""
        return self._by_source.get((kind, listener), ())

    def event_routes(self, event_name: str) -> tuple[Route, ...]:
        """Return the routes of an event, such as `study.completed`."""
        return self._by_source.get(("event", event_name), ())

    def context(self, default_issuer: str | None = None) -> Context:
        """Return what mappings may know; `default_issuer` is the listener's, None takes the site's."""
        site = self.settings.site
        return Context(
            issuers=self.issuers,
            default_issuer=site.default_issuer if default_issuer is None else default_issuer,
            timezone=site.timezone,
            most_steps=self.settings.limits.mapping_steps,
            most_bytes=self.settings.limits.mapping_result_bytes,
            constants={"site.name": site.name, "site.default_issuer": site.default_issuer},
        )


def load_site(folder: Path | None = None, *, environ: Dict[str, str]) -> Site:
    """Read, check and compile a site; what its folder lacks comes from the shipped default site.

    Args:
        folder: The site; None takes ISTHMUS_SITE, else the shipped site alone.
        environ: Variables of engine/config/environment.py.

    Raises:
        SiteRejected: at least one error; nothing was loaded.
    """
    if folder is None and environ.get("ISTHMUS_SITE"):
        folder = Path(environ["ISTHMUS_SITE"])
    if folder is not None and not folder.is_dir():
        place = Place(str(folder))
        raise SiteRejected((Finding.of(Flaw(place, "CFG-112", f"'{folder}' does not exist or is no folder")),))
    return _Loader(SiteFiles(folder, shipped_folder()), environ).load()


@dataclass(slots=True)
class _Loader:
    """Reads the files of one site; collects flaws until everything has been looked at."""

    files: SiteFiles
    environ: Dict[str, str]
    flaws: list[Flaw] = field(default_factory=list)
    enabled: set[RouteName] = field(default_factory=set)
    entries: Dict[str, Entry] = field(default_factory=dict)

    def load(self) -> Site:
        settings = self._settings()
        tables = self._tables()
        code_map = self._code_map(settings)
        mappings = self._mappings(tables)
        profiles = self._profiles(tables)
        routes = self._routes(settings, mappings, tables, profiles)
        findings = tuple(sorted({Finding.of(flaw) for flaw in self.flaws}))
        if any(finding.severity == "error" for finding in findings):
            raise SiteRejected(findings)
        by_source: dict[tuple[str, str], tuple[Route, ...]] = {}
        enabled = tuple(route for route in routes if route.name in self.enabled)
        for route in enabled:
            for name in (route.listener, *route.also):
                key = (route.kind, name)
                by_source[key] = (*by_source.get(key, ()), route)
        return Site(
            folder=self.files.folder,
            settings=settings,
            issuers=settings.issuer_table(),
            code_map=code_map,
            revision=self.files.revision(),
            routes=enabled,
            all_routes=routes,
            mappings=mappings,
            tables=tables,
            files=self.files,
            findings=findings,
            _by_source=by_source,
        )

    def _settings(self) -> Settings:
        document: Document | None = Document(SETTINGS_FILE, {})
        if self.files.settings is not None:
            document = self._document(self.files.settings, SETTINGS_FILE)
        if document is None:
            return Settings()
        document, flaws = overridden(document, self.environ)
        settings, more = validated(Settings, document)
        self.flaws += [*flaws, *more]
        if settings is None:
            return Settings()
        self.flaws += listening_flaws(settings, document, self.files.folder)
        return settings

    def _tables(self) -> dict[str, Table]:
        found = ((name, path) for name, path in self.files.tables.items() if path.stem != PROCEDURES)
        return {path.stem: read_table(path, name, self.flaws) for name, path in found}

    def _code_map(self, settings: Settings) -> CodeMap:
        name = f"mappings/tables/{PROCEDURES}.csv"
        path = self.files.tables.get(name)
        return read_code_map(path, name, frozenset(settings.stations.groups), self.flaws) if path else CodeMap()

    def _mappings(self, tables: Dict[str, Table]) -> dict[str, Mapping]:
        entries: dict[str, Entry] = {}
        for name, path in self.files.mappings.items():
            document = self._document(path, name)
            if document is not None:
                said, flaws = validated(MappingDocument, document)
                self.flaws += flaws
                if said is not None:
                    entries[path.stem] = Entry(said, document)
        builder = MappingBuilder(entries, tables)
        mappings = builder.build_all()
        self.flaws += builder.flaws
        self.entries = entries
        for entry in entries.values():
            self.flaws += mapping_flaws(entry)
        return mappings

    def _profiles(self, tables: Dict[str, Table]) -> dict[str, Profile]:
        profiles: dict[str, Profile] = {}
        for name, path in self.files.profiles.items():
            document = self._document(path, name)
            if document is not None:
                said, flaws = validated(ProfileDocument, document)
                self.flaws += flaws
                if said is not None:
                    profiles[path.name] = compile_profile(said, document, tables=tables, flaws=self.flaws)
        return profiles

    def _routes(
        self,
        settings: Settings,
        mappings: Dict[str, Mapping],
        tables: Dict[str, Table],
        profiles: Dict[str, Profile],
    ) -> tuple[Route, ...]:
        routes: list[Route] = []
        places: dict[str, Place] = {}
        for name, path in self.files.routes.items():
            document = self._document(path, name)
            if document is None:
                continue
            said, flaws = validated(RouteDocument, document)
            self.flaws += flaws
            if said is None:
                continue
            place = document.place(("route",))
            if said.route in places:
                text = f"route name '{said.route}' is also used in {places[said.route]}"
                self.flaws.append(Flaw(place, "CFG-110", text))
            places.setdefault(said.route, place)
            route = compile_route(
                said,
                document,
                settings=settings,
                mappings=mappings,
                tables=tables,
                profiles=profiles,
                flaws=self.flaws,
            )
            routes.append(route)
            self._check_versions(said, document, settings)
            if said.enabled:
                self.enabled.add(route.name)
        return tuple(routes)

    def _check_versions(self, said: RouteDocument, document: Document, settings: Settings) -> None:
        entry = self.entries.get(said.map or "")
        for index, receiver in enumerate(said.to):
            destination = settings.destinations.mllp.get(receiver.mllp)
            if entry is not None and destination is not None and destination.version is not None:
                at = ("to", index, "mllp")
                self.flaws += destination_flaws(entry.said, destination.version, route=document, at=at)

    def _document(self, path: Path, name: str) -> Document | None:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as cause:
            self.flaws.append(Flaw(Place(name), "CFG-101", f"not valid YAML: byte {cause.start} is not UTF-8"))
            return None
        document, flaws = read_document(text, name)
        self.flaws += flaws
        return document
