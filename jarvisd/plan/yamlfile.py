"""YAML files read safely, and errors that name file, line and key."""

from __future__ import annotations

import copy
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, RootModel, ValidationError

from jarvisd.errors import PlanError
from jarvisd.plan import known_keys
from jarvisd.words import closest

#: Enough for a plan of 10,000 programs of 200 bytes each. Anything larger is a mistake or an attack.
MAX_BYTES = 2048 * 1024
#: Entries of one list, such as the programs of a plan. Reading so many takes seconds, and every verb was measured with
#: a run of so many jobs.
MAX_ENTRIES = 10_000
#: Nodes, before and after aliases are expanded: a few lines of nested aliases can stand for billions. Enough for 10,000
#: programs of 20 values each.
MAX_NODES = 200_000

#: A text up to so many characters is parsed once per process, of the last _KEPT: one call reads models.yaml 70 times.
_SMALL = 256 * 1024
_KEPT = 8

#: The largest whole number that the database stores.
LARGEST = 2**63 - 1

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]
#: Where pydantic names a key that the data does not have, or that is no key.
_ABSENT = ("missing", "extra_forbidden", "invalid_key")
_LIST, _LINES = "a list, as [a, b]", "lines of `key: value`"
_UNKNOWN = "unknown key"
_WHOLE, _NUMBER, _TEXT = "a whole number", "a number", "text"
#: What a value has to be, by the type of pydantic's error. Of {} the error says more.
_WANTED = {
    "tuple_type": _LIST,
    "list_type": _LIST,
    "model_type": _LINES,
    "dict_type": _LINES,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
    "literal_error": "{expected}",
    "string_type": _TEXT,
}


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
        given = self.data if data is None else data
        try:
            valid = model.model_validate(given)
        except ValidationError as error:
            key, message, remedy = _first(error, given)
            if message == _UNKNOWN and (meant := closest(str(key[-1]), known_keys.at(model, key))):
                remedy = f"Did you mean {meant}?"
            raise self.wrong(key, message, remedy) from None
        if (place := _bool_as_number(given, valid)) is not None:
            raise self.wrong(place, "must be a number", "It is true or false.")
        return valid

    def wrong(self, place: Place, message: str, remedy: str) -> PlanError:
        return PlanError(message, remedy, file=self.path, line=self.line(place), key=dotted(place))

    def line(self, place: Place) -> int | None:
        """The line of the key, or of the nearest one above it that the file has."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read(path: Path) -> Document:
    """Parse a file with the safe loader. Raises PlanError when it is missing, too large or not YAML.

    The loader is the one in Python: the quicker one in C crashes the process on deeply nested brackets.
    """
    try:
        data, lines = _parsed(_text(path), path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise PlanError(f"not YAML: {error.problem}", "Mend that line.", file=path, line=line) from None
    except yaml.YAMLError as error:
        raise PlanError(f"not YAML: {type(error).__name__}", "Mend the file.", file=path) from None
    except (RecursionError, ValueError, OverflowError) as error:
        raise PlanError(_unreadable(error), "Mend the file.", file=path) from None
    document = Document(path, {} if data is None else data, lines)
    if (flaw := _unusable(data)) is not None:
        raise document.wrong(*flaw, "Correct it.")
    return document


def value(text: str) -> Any:
    """A single value, as `--set` is given it. Raises ValueError, with what is wrong, for one that cannot be used."""
    try:
        data, _ = _parsed(text, Path("--set"))
    except (yaml.YAMLError, PlanError):
        raise ValueError("the value is not YAML") from None
    except (RecursionError, ValueError, OverflowError) as error:
        raise ValueError(_unreadable(error)) from None
    if (flaw := _unusable(data)) is not None:
        raise ValueError(f"{dotted(flaw[0])}: {flaw[1]}" if flaw[0] else flaw[1])
    return data


class _Loader(yaml.SafeLoader):
    """The safe loader, which stops at the first entry or node too many, before it has spent minutes on the rest."""

    path: Path
    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.nodes += 1
        if isinstance(parent, yaml.SequenceNode) and index == MAX_ENTRIES:
            raise self._refused(f"a list of more than {MAX_ENTRIES:,} entries")
        if self.nodes > MAX_NODES:
            raise self._refused(f"more than {MAX_NODES:,} values")
        return super().compose_node(parent, index)

    def _refused(self, message: str) -> PlanError:
        return PlanError(
            message, "Split it into several files.", file=self.path, line=self.peek_event().start_mark.line + 1
        )


def _parsed(text: str, path: Path) -> tuple[Any, dict[Place, int]]:
    """The plain data, the caller's own, and the line of each key. Raises whatever the loader raises."""
    if len(text) > _SMALL:
        return _parse(text, path)
    data, lines = _parse_once(text, path)
    return copy.deepcopy(data), lines


def _parse(text: str, path: Path) -> tuple[Any, dict[Place, int]]:
    loader = _Loader(text)
    loader.path = path
    root = loader.get_single_node()
    lines: dict[Place, int] = {}
    if root is None:
        return None, lines
    _walk(root, (), lines, path)
    return loader.construct_document(root), lines


_parse_once = lru_cache(_KEPT)(_parse)


def _unreadable(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"a value in it cannot be read: {error}"  # of a date that no calendar has, or of 5,000 digits


def _unusable(data: Any, place: Place = ()) -> tuple[Place, str] | None:
    """The first value that no key can take and no database can store: its place, and what is wrong. Or None."""
    if isinstance(data, dict):
        pairs = [*((key, key) for key in data), *data.items()]
        flaws = (_unusable(below, (*place, str(key))) for key, below in pairs)
        return next((flaw for flaw in flaws if flaw is not None), None)
    if isinstance(data, list):
        flaws = (_unusable(below, (*place, index)) for index, below in enumerate(data))
        return next((flaw for flaw in flaws if flaw is not None), None)
    if isinstance(data, float) and not math.isfinite(data):
        return place, f"must be a finite number, not {data}"
    if isinstance(data, int) and abs(data) > LARGEST:
        return place, "the number is too large"
    if isinstance(data, str) and any(character == "\0" or "\ud800" <= character <= "\udfff" for character in data):
        return place, "the text holds a character that cannot be stored"
    return None


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # to open a pipe would wait for its writer, for ever
            raise PlanError("not a file", "Name a text file.", file=path)
        with path.open("rb") as source:
            raw = source.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise PlanError(f"larger than {MAX_BYTES // 1024:,} KB", "Split it into several files.", file=path)
        return raw.decode()
    except FileNotFoundError:
        raise PlanError("no such file", "Check the path.", file=path) from None
    except OSError as error:
        raise PlanError(f"cannot be read: {error.strerror}", "Check its permissions.", file=path) from None
    except UnicodeDecodeError:
        raise PlanError("not text in UTF-8", "Save it as UTF-8.", file=path) from None


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path, seen: list[int] | None = None) -> None:
    """Record the line of every key. Refuses a repeated key: YAML would silently take the last value."""
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


def _first(error: ValidationError, data: Any) -> tuple[Place, str, str]:
    """Pydantic's first finding: where, what is wrong, and what to do. All that a union would take is one finding."""
    errors = error.errors(include_url=False, include_context=True)
    place = _without_branch(errors[0], data)
    if place == tuple(errors[0]["loc"]):
        return place, *_in_words(errors[0])
    wanted = dict.fromkeys(_wanted(error) for error in errors if _without_branch(error, data) == place)
    return place, f"must be {', or '.join(wanted)}", _it_is(errors[0]["input"])


def _without_branch(error: Any, data: Any) -> Place:
    """The place of an error, without the branch of a union that pydantic puts behind it."""
    place = tuple(error["loc"])
    for depth, part in enumerate(place):
        keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
        if part not in keys:
            return place if error["type"] in _ABSENT else place[:depth]
        data = data[part]
    return place


def _wanted(error: Any) -> str:
    known = _WANTED.get(error["type"])
    words = (
        str(error["msg"]) if known is None else known.format(**error.get("ctx", {}))
    )  # pydantic's own text is not a format string
    return words.replace("'", "")


def _bool_as_number(data: Any, valid: Any, place: Place = ()) -> Place | None:
    """The place where true or false was read as 1 or 0; None where there is none."""
    valid = valid.root if isinstance(valid, RootModel) else valid
    pairs: list[tuple[Any, Any, Any]] = []
    if isinstance(data, bool):
        return place if isinstance(valid, int | float) and not isinstance(valid, bool) else None
    if isinstance(data, dict):
        of = valid.get if isinstance(valid, dict) else lambda key: getattr(valid, str(key), None)
        pairs = [(key, value, of(key)) for key, value in data.items()]
    elif isinstance(data, list) and isinstance(valid, list | tuple):
        pairs = [(index, *pair) for index, pair in enumerate(zip(data, valid, strict=False))]
    places = (_bool_as_number(below, taken, (*place, key)) for key, below, taken in pairs)
    return next((place for place in places if place is not None), None)


def _in_words(error: Any) -> tuple[str, str]:
    """Pydantic's finding as what is wrong and what to do."""
    kind, message = error["type"], str(error["msg"]).removeprefix("Value error, ")
    if remedy := getattr(error.get("ctx", {}).get("error"), "remedy", ""):  # the value is not repeated
        return message, remedy
    if _WANTED.get(kind) in (_LIST, _LINES, _WHOLE, _NUMBER, _TEXT):
        return f"must be {_WANTED[kind]}", _it_is(error["input"])
    if kind == "too_short":
        least = error["ctx"]["min_length"]
        return f"must have at least {least} {'entry' if least == 1 else 'entries'}", "Add what is missing."
    if kind == "extra_forbidden":
        return _UNKNOWN, "Remove it, or check its spelling."
    if kind == "missing":
        return "this key is missing", "Add it."
    return message[0].lower() + message[1:], _it_is(error["input"])


def _it_is(value: Any) -> str:
    if value is None:
        return "It is empty."
    return f"It is {_short(value)}." if _plain(value) else ""


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
