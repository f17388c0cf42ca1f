"""JARVIS's own checkout, where it is named: whether its matcher loads the owner's templates, and which models it knows.

The file is only read. The change is printed as a unified diff, to be applied by hand.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from pathlib import Path

from jarvisd.plugin import JarvisError

MATCHER = "models/templates.py"
REGISTRY = "models/registry.py"
_FUNCTION = "_load_templates"
_BUILT_IN = "_get_minimal_fallback_templates()"
_STORE = "get_custom_template_store"
_CHANGE = (
    f"own = [template.to_response_template() for template in {_STORE}().list_enabled()]",
    f"return own + {_BUILT_IN}",
)
#: Line of the return statement in the versions that were read: January 2026, and from 2026-02-15 on. `patch` and
#: `git apply` find the place by its context, so an offset does no harm.
_LINES = {"january": 1163, "february": 238}
#: The lines around the change; they are the same in both versions.
_BEFORE = (
    f"def {_FUNCTION}() -> list[ResponseTemplate]:",
    '    """Load response templates.',
    "",
    "    Returns the built-in template set for template matching.",
    '    """',
)
_BEHIND = ("", "", "class TemplateMatcher:")
_MOST_BYTES = 4 << 20


def patch(folder: Path | None, config_version: int | None, first_read: int) -> str:
    """The change as a unified diff: of JARVIS's checkout `folder`, else of the version that config.json names.

    Returns "" where the change is in. Raises JarvisError where the place is not found.
    """
    if folder is not None:
        return _of_checkout(folder / MATCHER)
    line = _LINES["january" if config_version is not None and config_version < first_read else "february"]
    around, start = len(_BEFORE) + len(_BEHIND), line - len(_BEFORE)
    header = f"@@ -{start},{around + 1} +{start},{around + len(_CHANGE)} @@"
    change = [f"-    return {_BUILT_IN}", *(f"+    {text}" for text in _CHANGE)]
    context = [[f" {text}" for text in lines] for lines in (_BEFORE, _BEHIND)]
    return "\n".join([f"--- a/{MATCHER}", f"+++ b/{MATCHER}", header, *context[0], *change, *context[1], ""])


def is_in(folder: Path) -> bool:
    """Whether the matcher of the checkout loads the owner's templates. Raises JarvisError."""
    file = folder / MATCHER
    return _loads_own(_function(file, _text(file)))


def _of_checkout(file: Path) -> str:
    text = _text(file)
    function = _function(file, text)
    if _loads_own(function):
        return ""
    returns = [node for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    places = [node for node in returns if ast.unparse(node.value or node) == _BUILT_IN]
    if not places:
        raise _unknown(file)
    lines = text.splitlines(keepends=True)
    changed = list(lines)
    place = places[-1]
    indent, end = " " * place.col_offset, "\r\n" if lines[place.lineno - 1].endswith("\r\n") else "\n"
    changed[place.lineno - 1 : place.end_lineno] = [f"{indent}{text}{end}" for text in _CHANGE]
    return "".join(difflib.unified_diff(lines, changed, f"a/{MATCHER}", f"b/{MATCHER}"))


def _loads_own(function: ast.FunctionDef) -> bool:
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    return _STORE in names | attributes


def _function(file: Path, text: str) -> ast.FunctionDef:
    for node in _parsed(file, text).body:
        if isinstance(node, ast.FunctionDef) and node.name == _FUNCTION:
            return node
    raise _unknown(file)


def _unknown(file: Path) -> JarvisError:
    return JarvisError(
        f"{file} has no {_FUNCTION} of a version that is known here", "Add the owner's templates there by hand."
    )


def _text(file: Path) -> str:
    try:
        if file.stat().st_size <= _MOST_BYTES:
            return file.read_bytes().decode("utf-8")
    except (OSError, ValueError):
        pass
    raise JarvisError(f"{file} cannot be read", "--source names the checkout of JARVIS that runs on this machine.")


def _parsed(file: Path, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise JarvisError(f"{file} is not Python that can be parsed", "Nothing was changed.") from None


def model_ids(folder: Path) -> dict[str, str]:
    """Repository or path -> the id under which this checkout of JARVIS knows it. Raises JarvisError."""
    file = folder / REGISTRY
    return dict(_specs(_parsed(file, _text(file))))


def _specs(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ModelSpec":
            words = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
            if isinstance(words.get("id"), str) and isinstance(words.get("path"), str):
                yield str(words["path"]), str(words["id"])
