"""Takes stored instances: counts them into their study, decides links at the first one, guards against collisions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum

from engine.broker.apply import Desk, link_study, refresh_worklist, write_change
from engine.broker.apply_report import note_newer_images, rematch_reports
from engine.config.site import Site
from engine.core.errors import PeerError
from engine.core.ids import BlobKey, RowId
from engine.linkage.change import Act, Change
from engine.linkage.evidence import contradicts
from engine.linkage.study import grown_study, new_study
from engine.records.exchange import Sameness
from engine.records.fact import InstanceFact
from engine.records.record import Instance, Series, Study
from engine.records.state import Danger
from engine.store import known
from engine.store.unit import Unit
from engine.store.writer import Writer


class InstanceCollision(PeerError):
    """DCM-114: another object with this SOP Instance UID is kept; the new one was set aside."""

    code = "DCM-114"


class _Kept(Enum):
    STORED = "stored"
    KNOWN = "known"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class _Compare:
    """Whether two copies have the same pixels decides: the writer does not wait for that."""

    first: BlobKey
    second: BlobKey


Compare = Callable[[BlobKey, BlobKey], Sameness]
"""Says whether two stored instances have the same pixels; blocks while it reads them."""


@dataclass(slots=True)
class ImageCounts:
    """How many instances came, for the metrics."""

    stored: int = 0
    duplicate: int = 0
    collision: int = 0


class ImageIntake:
    """Accepts instances whose bytes are durable already."""

    def __init__(
        self,
        *,
        site: Callable[[], Site],
        writer: Writer,
        wake: Callable[[str], None],
        quiet: Callable[[], None],
        compare: Compare,
    ) -> None:
        self._site = site
        self._writer = writer
        self._wake = wake
        self._quiet = quiet
        self._compare = compare
        self.counts = ImageCounts()

    async def accept(self, said: InstanceFact, default_issuer: str = "") -> None:
        """Apply an instance; returns once its rows are durable.

        Raises:
            InstanceCollision: DCM-114, same SOP Instance UID, other content; kept aside with a red hold.
            StorageError: nothing was kept.
        """
        site = self._site()
        desk = Desk(site=site, wake=self._wake)

        def apply(sameness: Sameness | None) -> asyncio.Future[_Kept | _Compare]:
            return self._writer.submit(lambda unit: self._apply(unit, said, default_issuer, desk, sameness))

        kept = await asyncio.shield(apply(None))
        if isinstance(kept, _Compare):
            kept = await asyncio.shield(apply(await asyncio.to_thread(self._compare, kept.first, kept.second)))
        if kept is _Kept.ASIDE:
            self.counts.collision += 1
            raise InstanceCollision("instance exists with other content")
        if kept is _Kept.KNOWN:
            self.counts.duplicate += 1
        else:
            self.counts.stored += 1

    def _apply(
        self, unit: Unit, said: InstanceFact, default_issuer: str, desk: Desk, sameness: Sameness | None
    ) -> _Kept | _Compare:
        copies = known.instances(unit, said.sop_uid)
        row = unit.new_id()
        change = Change(Act(now=unit.now, cause_kind="instance", cause_id=row, new_id=unit.new_id))
        if copies:
            return self._again(unit, said, copies, row, change, desk, sameness)
        study, series, undecided = self._file(unit, said, default_issuer, change, desk.site)
        change.create(_instance(said, row, series.id, study.id, unit, served=True))
        if undecided:
            study, orders = link_study(unit, study, said.request_attributes, change)
            write_change(unit, change, desk)
            refresh_worklist(unit, orders, desk)
            rematch_reports(unit, [study.study_uid], change.act, desk)
        else:
            write_change(unit, change, desk)
        if any(isinstance(record, Series) for record in change.new.values()) or change.events:
            note_newer_images(unit, study, change.act, desk)
        unit.after_commit(self._quiet)
        return _Kept.STORED

    def _file(
        self, unit: Unit, said: InstanceFact, default_issuer: str, change: Change, site: Site
    ) -> tuple[Study, Series, bool]:
        study = known.study_by_uid(unit, said.study_uid)
        issuer = site.issuers.key(said.issuer) or default_issuer
        modalities = (*(study.modalities if study else ()), said.modality)
        due = unit.now + timedelta(seconds=site.settings.quiet.of(said.source_ae, modalities))
        if study is None:
            said = replace(said, accession_issuer=site.issuers.key(said.accession_issuer))
            study = new_study(said, issuer, due, change)
            series = _series(said, study, change)
            study = replace(study, series_count=1, instance_count=1)
            change.alter(study)
            return (study, series, True)
        found = known.series(unit, study.id, said.series_uid)
        if found is None:
            series = _series(said, study, change)
        else:
            series = replace(found, instance_count=found.instance_count + 1)
            change.alter(series)
        holds = known.holds_of_study(unit, study.id) if contradicts(study, said, issuer) else ()
        grown = grown_study(
            study, said, new_series=found is None, quiet_due_at=due, holds=holds, change=change, issuer=issuer
        )
        says_more = bool(said.request_attributes) or grown.accession_number != study.accession_number
        return (grown, series, says_more and not known.links_of_study(unit, study.id))

    def _again(
        self,
        unit: Unit,
        said: InstanceFact,
        copies: tuple[Instance, ...],
        row: RowId,
        change: Change,
        desk: Desk,
        sameness: Sameness | None,
    ) -> _Kept | _Compare:
        """Same SOP Instance UID once more (spec/reconcile.md section 8); `sameness` None: not compared yet."""
        first = copies[0]
        if first.blob == said.blob:
            return _Kept.KNOWN
        study = known.study(unit, first.study_id)
        series = known.series(unit, first.study_id, said.series_uid)
        same_place = study is not None and study.study_uid == said.study_uid and series is not None
        if same_place and sameness is None:
            return _Compare(first.blob, BlobKey(said.blob))
        harmless = same_place and sameness is not Sameness.OTHER
        if harmless and sameness is Sameness.SAME:
            return _Kept.KNOWN
        if any(copy.blob == said.blob for copy in copies):  # it was set aside before: the same answer again
            return _Kept.KNOWN if harmless else _Kept.ASIDE
        change.create(_instance(said, row, first.series_id, first.study_id, unit, served=False))
        change.hold(
            "instance_header_differs" if harmless else "uid_collision",
            Danger.AMBER if harmless else Danger.RED,
            "an instance came again with other header values; the first stays served, the second is kept aside"
            if harmless
            else "an instance came again under the same SOP Instance UID with other content; it is kept aside",
            {"first": first.id, "second": row},
            study_id=first.study_id,
            patient_id=study.patient_id if study else None,
        )
        write_change(unit, change, desk)
        return _Kept.KNOWN if harmless else _Kept.ASIDE


def _series(said: InstanceFact, study: Study, change: Change) -> Series:
    series = Series(
        id=change.act.new_id(),
        study_id=study.id,
        series_uid=said.series_uid,
        modality=said.modality,
        number=said.series_number,
        description=said.series_description,
        instance_count=1,
        cause_id=change.act.cause_id,
    )
    change.create(series)
    return series


def _instance(
    said: InstanceFact, row: RowId, series_id: RowId, study_id: RowId, unit: Unit, *, served: bool
) -> Instance:
    return Instance(
        id=row,
        series_id=series_id,
        study_id=study_id,
        sop_uid=said.sop_uid,
        sop_class=said.sop_class,
        transfer_syntax=said.transfer_syntax,
        number=said.instance_number,
        blob=BlobKey(said.blob),
        size_bytes=said.size_bytes,
        served=served,
        received_at=unit.now,
        cause_id=row,
    )
