"""Checks a document against a model, in words for the person who wrote it and at the place where it is wrong."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from engine.mapping.place import Document, Flaw, KeyPath

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)

_UNKNOWN = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_MISSING = frozenset({"missing", "missing_argument"})
_WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a section with keys",
    "model_type": "a section with keys",
    "model_attributes_type": "a section with keys",
    "dataclass_type": "a section with keys",
    "mapping_type": "a section with keys",
}


def validated(model: type[Model], document: Document) -> tuple[Model | None, list[Flaw]]:
    """Return the model of a document, or every reason why it is none (CFG-104 … CFG-107)."""
    tree = {} if document.tree is None else document.tree
    try:
        return model.model_validate(tree), []
    except ValidationError as cause:
        seen: dict[Flaw, None] = {}
        for detail in cause.errors(include_url=False, include_input=False):
            seen[_flaw(model, document, detail)] = None
        return None, list(seen)


def _flaw(model: type[BaseModel], document: Document, detail: ErrorDetails) -> Flaw:
    path = _written(document, detail["loc"])
    kind = detail["type"]
    dotted = _dotted(path)
    if kind in _UNKNOWN:
        return Flaw(document.key_place(path), "CFG-104", _unknown_key(model, path))
    if kind in _MISSING:
        return Flaw(document.place(path), "CFG-105", f"'{dotted}' is required")
    context: dict[str, Any] = detail.get("ctx") or {}
    if kind in ("greater_than_equal", "less_than_equal"):
        return Flaw(document.place(path), "CFG-107", f"'{dotted}' must be {_bounds(model, path, context)}")
    subject = f"'{dotted}'" if dotted else "the file"
    return Flaw(document.place(path), "CFG-106", f"{subject} must be {_wanted(kind, detail['msg'], context)}")


def _written(document: Document, location: tuple[int | str, ...]) -> KeyPath:
    """Return a location without the parts that name a type of a union rather than a key."""
    path: KeyPath = ()
    here: Any = document.tree
    for index, part in enumerate(location):
        is_last = index == len(location) - 1
        if isinstance(here, dict) and isinstance(part, str):
            if part in here or is_last:
                path = (*path, part)
                here = here.get(part)
        elif isinstance(here, list) and isinstance(part, int):
            path = (*path, part)
            here = here[part] if part < len(here) else None
    return path


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _wanted(kind: str, message: str, context: dict[str, Any]) -> str:
    if kind in _WANTED:
        return _WANTED[kind]
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind in ("too_short", "string_too_short"):
        return f"at least {context['min_length']} long"
    if kind in ("too_long", "string_too_long"):
        return f"at most {context['max_length']} long"
    if kind == "string_pattern_mismatch":
        return f"of the form {context['pattern']}"
    return message[:1].lower() + message[1:]


def _bounds(model: type[BaseModel], path: KeyPath, context: dict[str, Any]) -> str:
    low, high = context.get("ge"), context.get("le")
    other = _other_bound(model, path, "le" if high is None else "ge")
    low, high = (other if low is None else low), (other if high is None else high)
    if low is not None and high is not None:
        return f"between {low} and {high}"
    return f"{low} or more" if high is None else f"{high} or less"


def _other_bound(model: type[BaseModel], path: KeyPath, name: str) -> Any:
    owner = _model_at(model, path[:-1])
    if owner is None:
        return None
    for field_name, info in owner.model_fields.items():
        if path[-1] in (field_name, info.alias):
            return next((getattr(one, name) for one in info.metadata if getattr(one, name, None) is not None), None)
    return None


def _unknown_key(model: type[BaseModel], path: KeyPath) -> str:
    key = str(path[-1])
    text = f"unknown key '{key}' under '{_dotted(path[:-1])}'" if path[:-1] else f"unknown key '{key}'"
    known = _names_at(model, path[:-1])
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    return f"{text}; did you mean '{near[0]}'?" if near else f"{text}; known are {', '.join(known)}" if known else text


def _names_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that the section at a path may have."""
    annotation: Any = model
    for part in path:
        annotation = _inside(annotation, part)
    if is_dataclass(annotation):
        return [field.name for field in fields(annotation)]
    owner = _model_in(annotation)
    return [] if owner is None else [info.alias or name for name, info in owner.model_fields.items()]


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """Return the model that describes the section at a path."""
    annotation: Any = model
    for part in path:
        annotation = _inside(annotation, part)
    return _model_in(annotation)


def _inside(annotation: Any, part: str | int) -> Any:
    """Return the type of what stands at one key or position of a type; None when it has none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        known = annotation.model_fields.items()
        return next((info.annotation for name, info in known if part == (info.alias or name)), None)
    arguments = get_args(annotation)
    if get_origin(annotation) is dict and isinstance(part, str):
        return arguments[1]
    if get_origin(annotation) is tuple and isinstance(part, int):
        return arguments[0]
    return next((found for one in arguments if (found := _inside(one, part)) is not None), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
