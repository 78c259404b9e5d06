"""All functions of the language, by name."""

from __future__ import annotations

from difflib import get_close_matches

from engine.mapping.function import GENERAL, Function
from engine.mapping.function_fhir import FHIR_FUNCTIONS
from engine.mapping.function_hl7 import HL7_FUNCTIONS

FUNCTIONS: tuple[Function, ...] = (*GENERAL, *HL7_FUNCTIONS, *FHIR_FUNCTIONS)


def function_for(name: str, source: str) -> Function | None:
    """Return the function of that name for a kind of source, None when there is none."""
    for function in FUNCTIONS:
        if function.name == name and (function.sources is None or source in function.sources):
            return function
    return None


def nearest_function(name: str) -> str:
    """Return the known name that looks most like `name`."""
    names = sorted({function.name for function in FUNCTIONS})
    return (get_close_matches(name, names, n=1, cutoff=0.0) or names)[0]
