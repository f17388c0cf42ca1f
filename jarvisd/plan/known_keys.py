"""Which keys a model takes at a place of its data: to propose one for a mistyped key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel


def at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys beside the one that `place` names."""
    models = [model]
    for part in place[:-1]:
        inner = [_annotation(known, part) for known in models]
        models = [below for annotation in inner for below in _models_in(annotation)]
    return list(dict.fromkeys(name for known in models for name in known.model_fields))


def _annotation(model: type[BaseModel], part: int | str) -> Any:
    """The type of what is below the key; of a list's number that of the list."""
    field = model.model_fields.get(str(part)) or model.model_fields.get("root")
    return model if field is None and isinstance(part, int) else getattr(field, "annotation", None)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a type is made of: X, X | None, list[X], a root model of these."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        root = annotation.model_fields.get("root")
        if root is None:
            yield annotation
        else:
            yield from _models_in(root.annotation)
    for part in get_args(annotation):
        yield from _models_in(part)
