"""URIs that name code systems and kinds of identifiers.

Source: FHIR R4 terminology; spec sheet fhir.md section 2 for those of our own.
"""

from __future__ import annotations

from typing import Final

IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
DICOM_UID: Final = "urn:dicom:uid"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
SNOMED: Final = "http://snomed.info/sct"
IMAGING: Final = "363679005"
"""SNOMED CT: Imaging."""
ABSENT_REASON: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
OUTCOME_CODE: Final = "urn:isthmus:code"
"""System of our own codes in OperationOutcome.issue.details."""
REQUESTED_PROCEDURE_ID: Final = "urn:isthmus:rp-id"
STUDY_ID: Final = "urn:isthmus:study-id"
OID: Final = "urn:oid:"

CODING_SCHEMES: Final = {
    "SCT": SNOMED,
    "LN": "http://loinc.org",
    "DCM": DCM,
    "C4": "http://www.ama-assn.org/go/cpt",
    "RADLEX": "http://www.radlex.org",
    "I10": "http://hl7.org/fhir/sid/icd-10",
}
"""Coding scheme designators and their URIs. Source: DICOM PS3.16 table 8-1."""
