"""Isthmus: an HL7/FHIR integration engine that keeps orders, images and reports linked."""

__version__ = "0.1.0"
