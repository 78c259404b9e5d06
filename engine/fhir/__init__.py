"""FHIR R4 (4.0.1) as plain data: what is valid, what is refused and how that is said. No input, no output."""
