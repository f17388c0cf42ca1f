"""Words that this project gave up for the field's own, and the places where they stay."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

#: A word that was given up -> what to write. Forms such as `_rings` and `Lack` count, too.
GIVEN_UP = {
    "ring": "notify or wake up",
    "owed": "due or pending",
    "owes": "due or pending",
    "fruitless": "starts_without_progress",
    "piece": "checkpoint",
    "lack": "blocker, or missing requirement",
    "vitals": "watchdog",
    "story": "run log",
    "stories": "run log",
    "layer": "metric",
    "gated": "failed gates",
}
#: Names that say nothing about what a variable holds.
VAGUE_NAMES = ("found", "said", "there")
#: Where people read: sources, tests, documents, configuration.
READ = ("*.py", "*.md", "*.yaml", "*.html", "*.js", "*.sh", "Makefile", "pyproject.toml")


@dataclass(frozen=True)
class Allowed:
    """Lines of the files that match `path` and hold `text` may use the word."""

    word: str
    path: str
    reason: str
    text: str = ""


_NETWORK = "layers of a neural network"
_PLAN_KEY = "a plan key of 0.1.0, which old plans and old runs hold"
_JSON_KEY = "a key of mlx_comparison_results.json"
_OLD_ROW = "the name that rows of 0.1.0 have in databases"
_RENAMES = "lists what was renamed"
_TEST_KIND = "the kind of job of tests/packages/pieces, whose jobs do pieces of work"

ALLOWED = (
    Allowed("layer", "jobs/lib/embedding/numpy_bert.py", _NETWORK),
    Allowed("layer", "jobs/lib/embedding/numpy_weights.py", _NETWORK),
    Allowed("layer", "jobs/lib/embedding/onnx_graph.py", _NETWORK),
    Allowed("layer", "jobs/lib/models/memory.py", _NETWORK),
    Allowed("layer", "jobs/verbs/demo/weights.py", _NETWORK),
    Allowed("layer", "tests/tiny_*.py", _NETWORK),
    Allowed("layer", "tests/unit/test_models.py", _NETWORK),
    Allowed("layer", "docs/configuration.md", _PLAN_KEY, "`layers."),
    Allowed("layer", "jobs/report/plan.py", _PLAN_KEY, "layers: Metrics"),
    Allowed("layer", "jobs/lib/comparison/rules.py", _PLAN_KEY, 'section.get("layers")'),
    Allowed("layer", "tests/unit/test_comparison.py", _PLAN_KEY, "defaults.layers"),
    Allowed("layer", "tests/unit/test_plans.py", _PLAN_KEY, "report.layers"),
    Allowed("layer", "jobs/lib/comparison/scores.py", _JSON_KEY, '{"json": "layers"}'),
    Allowed("layer", "docs/results.md", _JSON_KEY, "| `layers` |"),
    Allowed("layer", "tests/integration/test_comparison.py", _JSON_KEY, '["layers"]'),
    Allowed("layer", "jobs/lib/evaluate_task.py", _OLD_ROW, 'params.get("layers")'),
    Allowed("layer", "jobs/lib/results/tables.py", _OLD_ROW),
    Allowed("layer", "tests/integration/test_metrics_job.py", _OLD_ROW),
    Allowed("layer", "tests/integration/test_migrations.py", _OLD_ROW),
    Allowed("layer", "tests/unit/test_evaluate_plan.py", _OLD_ROW, '{"layers": True'),
    Allowed("fruitless", "tests/integration/test_migrations.py", _OLD_ROW),
    Allowed("*", "CHANGELOG.md", _RENAMES, "| `"),
    Allowed("*", "tests/old_words.py", _RENAMES),
    Allowed("piece", "jarvisd/worker/context.py", "the name in 0.1.0 of `checkpoint`, for other packages", "piece = "),
    Allowed("piece", "tests/packages/*", _TEST_KIND),
    Allowed("piece", "tests/acceptance/*", _TEST_KIND),
    Allowed("piece", "tests/histories/*", _TEST_KIND),
    Allowed("piece", "tests/fleet/*", _TEST_KIND),
    Allowed("piece", "tests/power_cut/*", _TEST_KIND),
    Allowed("piece", "tests/integration/test_machine_of_states.py", _TEST_KIND),
    Allowed("piece", "tests/integration/test_write_faults.py", _TEST_KIND),
    Allowed("gated", "jobs/lib/models/download.py", "a field of the Hugging Face API", "info.gated"),
    Allowed("gated", "tests/hub.py", "a field of the Hugging Face API"),
    Allowed("gated", "tests/integration/test_fetching.py", "a field of the Hugging Face API", ".gated"),
    Allowed("ring", "tests/integration/two_round_nights.py", "a message of a person", "ring twice"),
    Allowed("lack", "tests/unit/test_scenarios_file.py", "a misspelt key of scenarios.yaml, `lacks`", '"lack"'),
)

# The word alone or as a part of a name such as `first_piece` or `PieceCount`; "lacks" and "owe" are English verbs.
_WORD = re.compile(
    r"(?<![a-zA-Z])(?:(?P<plain>[Rr]ings?|owed|owes|fruitless|[Pp]ieces?|[Ll]ack|[Vv]itals|[Ss]tory|[Ss]tories|[Ll]ayers?"
    r"|gated)|(?P<camel>Lack|Piece|Layer|Story))(?![a-z])"
)


@dataclass(frozen=True)
class Use:
    """A line that holds a word of GIVEN_UP."""

    path: str
    line: int
    text: str
    word: str


def uses(root: Path) -> list[Use]:
    """Every use of a word of GIVEN_UP."""
    return [
        Use(str(path.relative_to(root)), number, line, word)
        for path in _files(root)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for word in {_base(match[0]) for match in _WORD.finditer(line)}
    ]


def refused(all_uses: list[Use]) -> list[str]:
    """`FILE:LINE: WORD (write ...)` of each use that no entry of ALLOWED covers."""
    return [
        f"{use.path}:{use.line}: {use.word} (write {GIVEN_UP[use.word]})"
        for use in all_uses
        if not any(_allows(rule, use) for rule in ALLOWED)
    ]


def unneeded(all_uses: list[Use]) -> list[Allowed]:
    """Entries of ALLOWED that cover no use."""
    return [rule for rule in ALLOWED if not any(_allows(rule, use) for use in all_uses)]


def vague_variables(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of each variable and parameter that is called by one of VAGUE_NAMES."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE_NAMES:
            yield node.lineno, node.id
        elif isinstance(node, ast.arg) and node.arg in VAGUE_NAMES:
            yield node.lineno, node.arg


def _files(root: Path) -> list[Path]:
    """Written files that are read by people; nothing generated, and no fixture of messages."""
    folders = ("jarvisd", "jobs", "tests", "benchmarks", "docs", "config", "launchd", "examples")
    inside = [path for folder in folders for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(
        path
        for path in (*inside, *root.glob("*"))
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in READ) and "fixtures" not in path.parts
    )


def _base(word: str) -> str:
    """The entry of GIVEN_UP that a match belongs to."""
    lower = word.lower()
    return lower if lower in GIVEN_UP else lower.removesuffix("s")


def _allows(rule: Allowed, use: Use) -> bool:
    return rule.word in ("*", use.word) and fnmatch(use.path, rule.path) and rule.text in use.text
