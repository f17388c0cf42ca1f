"""YAML files read safely, and errors that name file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from jarvisd.errors import PlanError

#: A configuration file is a page of text; anything larger is a mistake or an attack.
MAX_BYTES = 256 * 1024
#: Nodes after aliases are expanded: a few lines of nested aliases can stand for billions. Enough for 10,000 programs.
MAX_NODES = 100_000

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]


def load(path: Path, model: type[Model]) -> Model:
    """The file as a validated object. Raises PlanError for whatever is wrong with it."""
    document = read(path)
    return document.validate(model)


class Document:
    """A YAML file's plain data, and the line of each key in it."""

    def __init__(self, path: Path, data: Any, lines: dict[Place, int]) -> None:
        self.path, self.data, self.lines = path, data, lines

    def validate(self, model: type[Model], data: Any = None) -> Model:
        """The data (or a changed copy of it) as `model`. Raises PlanError for the first thing that is wrong."""
        try:
            return model.model_validate(self.data if data is None else data)
        except ValidationError as error:
            raise self.explain(error) from None

    def explain(self, error: ValidationError) -> PlanError:
        first = error.errors(include_url=False, include_context=True)[0]
        place = tuple(first["loc"])
        what, remedy = _in_words(first)
        return PlanError(what, remedy, file=self.path, line=self.line(place), key=dotted(place))

    def line(self, place: Place) -> int | None:
        """The line of the key, or of the nearest one above it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read(path: Path) -> Document:
    """Parse a file with the safe loader. Raises PlanError when it is missing, too large or not YAML.

    The loader is the one in Python: the quicker one in C crashes the process on deeply nested brackets.
    """
    text = _text(path)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        lines: dict[Place, int] = {}
        if root is not None:
            _walk(root, (), lines, path)
        data = loader.construct_document(root) if root is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise PlanError(f"not YAML: {error.problem}", "Mend that line.", file=path, line=line) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PlanError(f"not YAML: {type(error).__name__}", "Mend the file.", file=path) from None
    return Document(path, {} if data is None else data, lines)


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # to open a pipe would wait for its writer, for ever
            raise PlanError("not a file", "Name a text file.", file=path)
        with path.open("rb") as source:
            raw = source.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise PlanError(f"larger than {MAX_BYTES // 1024} KB", "This is no configuration file.", file=path)
        return raw.decode()
    except FileNotFoundError:
        raise PlanError("no such file", "Check the path.", file=path) from None
    except OSError as error:
        raise PlanError(f"cannot be read: {error.strerror}", "Check its permissions.", file=path) from None
    except UnicodeDecodeError:
        raise PlanError("not text in UTF-8", "Save it as UTF-8.", file=path) from None


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path, seen: list[int] | None = None) -> None:
    """Note the line of every key; refuse a repeated key, which YAML would silently take the last of."""
    seen = [0] if seen is None else seen
    seen[0] += 1
    if seen[0] > MAX_NODES:
        raise PlanError("too many values", "Aliases that multiply are refused.", file=path)
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            line = key.start_mark.line + 1
            if inner in lines:
                raise PlanError("given twice", "Keep one of them.", file=path, line=line, key=dotted(inner))
            lines[inner] = line
            _walk(value, inner, lines, path, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*place, index), lines, path, seen)


def dotted(place: Place) -> str:
    """("evaluate", "models", 0) -> evaluate.models[0]"""
    words = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(words).removeprefix(".")


def _in_words(error: Any) -> tuple[str, str]:
    """Pydantic's finding as what is wrong and what to do."""
    kind, message = error["type"], str(error["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return "unknown key", "Remove it, or check its spelling."
    if kind == "missing":
        return "this key is missing", "Add it."
    return message[0].lower() + message[1:], f"It is {_short(error['input'])}." if _plain(error["input"]) else ""


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
