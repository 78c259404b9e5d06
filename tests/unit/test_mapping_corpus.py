"""The shipped mappings on messages of other projects: values checked by hand, and nothing but our errors on all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.config.site import Site, load_site
from engine.core.errors import PeerError
from engine.hl7.message import Message
from engine.mapping.fault import MappingFault
from engine.mapping.fhir_source import source_of
from engine.records.fact import OrderFact, PatientFact, StepFact

MAPPING_OF = {"ORM": "order-from-hl7", "OMI": "order-from-hl7", "OMG": "order-from-hl7", "ADT": "patient-from-hl7"}


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(environ={})


def facts(site: Site, path: Path) -> list[Any]:
    message = Message.parse(path.read_bytes())
    return [result.fact for result in site.mapping(MAPPING_OF[message.type]).run(message, site.context())]


def test_orm_of_an_archive(site: Site, corpus: Path) -> None:
    (fact,) = facts(site, corpus / "hl7" / "dcm4che__dcm4che" / "ORM^O01-GeneralOrder.hl7")

    assert isinstance(fact, OrderFact)
    assert (fact.control, fact.status) == ("NW", "SC")
    assert fact.placer_number == "PlacerOrderNumberImagingServiceRequest"
    assert fact.accession_number == "AccessionNumber"
    assert fact.study_uid == "1.2.392.200036.9125.0.198811291108.7"
    assert fact.modality == "CT"
    assert fact.scheduled_start == "200008161510"
    assert (fact.patient.name, fact.patient.birth_date, fact.patient.sex) == ("Smith^Lucy^Mark", "20141014", "F")
    assert [(one.value, one.issuer) for one in fact.patient.identifiers] == [("PID_1", "ADT1")]


def test_omi_of_an_archive(site: Site, corpus: Path) -> None:
    (fact,) = facts(site, corpus / "hl7" / "dcm4che__dcm4che" / "OMI^O23-ImagingOrder.hl7")

    assert fact.accession_number == "AccessionNumber"
    assert fact.rp_id == "RequestedProcID"
    assert fact.study_uid == "1.2.392.200036.9125.0.198811291108.7"
    assert fact.procedure_comments == "RequestedProcedureComments"
    assert (fact.code, fact.description, fact.code_system) == ("10637-7", "Microscopic Observation", "LN")
    assert fact.referring_physician == "ReferringPhysicianFN^ReferringPhysicianGN^ReferringPhysicianMN^DR^Md"
    assert fact.steps == (
        StepFact(
            sps_id="ScheduledProcStepID",
            modality="CT",
            station_ae="ScheduledStationAET1\\ScheduledStationAET2",
            station_name="ScheduledStationName",
            location="ScheduledProcStepLocation",
            start="200008161510",
            description="Microscopic Observation",
            protocol_code="10637-7",
            protocol_system="LN",
            protocol_text="Microscopic Observation",
            performing_physician=fact.steps[0].performing_physician,
        ),
    )


@pytest.mark.parametrize(
    ("file", "accession", "uid", "code"),
    [
        ("philips__orm-o01.hl7", "AC-PH-001", "1.2.826.0.1.3680043.10.99999.20250326.7", "CTHEAD"),
        ("visage__orm-o01.hl7", "AC-VS-001", "1.2.826.0.1.3680043.10.99999.20250326.1", "ctHeadP"),
    ],
)
def test_orm_with_zds_of_two_makers(site: Site, corpus: Path, file: str, accession: str, uid: str, code: str) -> None:
    (fact,) = facts(site, corpus / "hl7" / "cosyte__hl7" / file)

    assert (fact.placer_number, fact.accession_number, fact.study_uid, fact.code) == (accession, accession, uid, code)
    assert fact.patient.name == "Doe^John"


def test_the_old_timing_of_orc_7(site: Site, corpus: Path) -> None:
    (fact,) = facts(site, corpus / "hl7" / "cosyte__hl7" / "orc7-legacy-tq.hl7")

    assert fact.scheduled_start == "20260705080000"


def test_an_orm_with_numbers_of_its_own_issuers(site: Site, corpus: Path) -> None:
    (fact,) = facts(site, corpus / "hl7" / "kcenon__pacs_bridge" / "orm_o01_sample.hl7")

    assert (fact.placer_number, fact.placer_issuer) == ("ORD001", "HIS")
    assert (fact.filler_number, fact.filler_issuer) == ("ACC001", "PACS")
    assert not fact.accession_number  # OBR-18 is empty: the filler number will stand in
    assert [(one.value, one.issuer, one.type_code) for one in fact.patient.identifiers] == [("12345", "HOSPITAL", "MR")]


def test_every_order_and_admission_is_mapped_or_refused_with_its_place(site: Site, corpus: Path) -> None:
    mapped = 0
    refused: list[MappingFault] = []
    for path in sorted((corpus / "hl7").glob("*/*")):
        try:
            message = Message.parse(path.read_bytes())
        except PeerError:
            continue
        name = MAPPING_OF.get(message.type)
        if name is None:
            continue
        try:
            results = site.mapping(name).run(message, site.context(), explain=True)
        except MappingFault as fault:
            refused.append(fault)
        else:
            mapped += 1
            assert all(result.explain for result in results)
            patients = [one.fact if isinstance(one.fact, PatientFact) else one.fact.patient for one in results]  # type: ignore[union-attr]
            assert all(patient.identifiers for patient in patients)

    assert mapped > 120
    assert len(refused) < 12
    assert {fault.code for fault in refused} <= {"HL7-111", "MAP-203"}
    assert all(fault.where for fault in refused)


def test_patients_and_requests_of_fhir(site: Site, corpus: Path) -> None:
    mapped = 0
    refused: list[MappingFault] = []
    for path in sorted((corpus / "fhir").glob("*/*.json")):
        try:
            resource = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            continue
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        name = {"Patient": "patient-from-fhir", "ServiceRequest": "order-from-servicerequest"}.get(str(kind))
        if name is None:
            continue
        try:
            site.mapping(name).run(source_of(resource), site.context())
        except MappingFault as fault:
            refused.append(fault)
        else:
            mapped += 1

    assert mapped > 3
    assert {fault.code for fault in refused} <= {"FHIR-113", "MAP-203"}
    assert all(fault.where for fault in refused)
