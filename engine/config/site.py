"""A site: settings, routes, mappings and tables that belong together. All of it loads, or none of it does."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path

from engine.config.code_map import CodeMap
from engine.config.finding import Finding
from engine.config.route import Kind, Route
from engine.config.settings import Settings
from engine.core.errors import ConfigError
from engine.mapping.context import Context
from engine.mapping.mapping import Mapping
from engine.records.issuer import IssuerTable


class SiteRejected(ConfigError):  # noqa: N818
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
    mappings: Dict[str, Mapping] = field(default_factory=dict)
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
            constants={"site.name": site.name, "site.default_issuer": site.default_issuer},
        )


def load_site(folder: Path | None = None, *, environ: Dict[str, str]) -> Site:
    """Read, check and compile a site; what its folder lacks comes from the shipped default site.

    Raises:
        SiteRejected: at least one error; nothing was loaded.
    """
    raise NotImplementedError
