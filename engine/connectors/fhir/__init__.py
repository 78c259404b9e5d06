"""FHIR R4 over HTTP: reads, searches and orders in; every refusal is an OperationOutcome."""
