"""The rules of the house, measured on the source: who may import whom, what nobody may call, how long things may be."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"numpy", "torch", "mlx", "mlx_lm", "sentence_transformers", "sklearn", "matplotlib", "scipy", "transformers"}
KINDS = {"mine", "evaluate", "report", "command", "demo"}
SOURCES = sorted([*ROOT.glob("jarvisd/**/*.py"), *ROOT.glob("jobs/**/*.py")])
FORBIDDEN_CALLS = {
    *("eval", "exec", "os.system", "os.popen", "pty.spawn", "os.startfile", "asyncio.create_subprocess_shell"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "yaml.load", "yaml.unsafe_load", "torch.load"),
    *("marshal.load", "marshal.loads", "shelve.open"),
}
STARTERS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}
#: What the processes of this project begin with: umask 077 is to be in force before any of them makes a file.
ENTRY_POINTS = ("jarvisd/cli/__init__.py", "jarvisd/daemon/main.py", "jarvisd/worker/main.py")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.AST]:
    return {path: ast.parse(path.read_text()) for path in SOURCES}


def test_the_queue_imports_no_job_and_no_numerical_library(trees: dict[Path, ast.AST]) -> None:
    bad = [
        (name_of(path), name)
        for path, tree in trees.items()
        for name in imports(tree)
        if path.is_relative_to(ROOT / "jarvisd") and name.partition(".")[0] in HEAVY | {"jobs"}
    ]
    assert bad == []


def plain_name(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_every_imported_package_is_declared(trees: dict[Path, ast.AST]) -> None:
    """A package that is there only because another one needs it may go with that one's next version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {plain_name(re.split(r"[\[<>=;! ]", line)[0]) for line in project["dependencies"]}
    top = {name.partition(".")[0] for tree in trees.values() for name in imports(tree)}
    foreign = top - sys.stdlib_module_names - {"jarvisd", "jobs"}
    distributions = importlib.metadata.packages_distributions()
    missing = {name for name in foreign if not set(map(plain_name, distributions.get(name, []))) & declared}
    assert len(foreign) > 10
    assert missing == set()


def test_no_kind_of_job_imports_another(trees: dict[Path, ast.AST]) -> None:
    bad = [
        (name_of(path), name)
        for path, tree in trees.items()
        for name in imports(tree)
        if name.startswith("jobs.") and len(path.relative_to(ROOT).parts) > 2
        if name.split(".")[1] in KINDS - {path.relative_to(ROOT).parts[1]}
    ]
    assert bad == []


def test_what_the_queue_loads_of_a_kind_is_light(trees: dict[Path, ast.AST]) -> None:
    """plan.py is imported by `enqueue`: nothing heavy, not even at second hand through its own package."""
    for path in ROOT.glob("jobs/*/plan.py"):
        assert not {name.partition(".")[0] for name in imports(trees[path])} & HEAVY, name_of(path)


def test_nothing_unpickles_evaluates_or_starts_a_shell(trees: dict[Path, ast.AST]) -> None:
    bad = []
    for path, tree in trees.items():
        bad += [(name_of(path), name) for name in imports(tree) if name in {"pickle", "dill", "joblib"}]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                shell = any(k.arg == "shell" and getattr(k.value, "value", True) is not False for k in node.keywords)
                if shell or ast.unparse(node.func) in FORBIDDEN_CALLS:
                    bad.append((name_of(path), ast.unparse(node.func)))
    assert bad == []


def test_every_program_is_started_from_a_list_of_words(trees: dict[Path, ast.AST]) -> None:
    """A string as a command is a shell's business; `shell=` itself is looked for above."""
    calls = [
        (path, node)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in STARTERS
    ]
    assert len(calls) >= 8
    bad = [f"{name_of(path)}:{node.lineno}" for path, node in calls if not node.args or _is_text(node.args[0])]
    assert bad == []
    renamed = [
        name_of(path)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and node.module == "subprocess")
        or (isinstance(node, ast.Import) and any(a.name in ("subprocess", "os") and a.asname for a in node.names))
    ]
    assert renamed == []


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_every_process_makes_its_files_private_before_anything_else(name: str) -> None:
    (main,) = [found for found in functions(ast.parse((ROOT / name).read_text())) if found.name == "main"]
    first = next(
        node for node in main.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )
    assert ast.unparse(first) == "os.umask(63)"


def test_functions_and_files_stay_short(trees: dict[Path, ast.AST]) -> None:
    lengths = sorted(length(function) for tree in trees.values() for function in functions(tree))
    assert statistics.median(lengths) <= 15
    assert lengths[int(len(lengths) * 0.9)] <= 30
    assert lengths[-1] <= 60
    assert [name_of(path) for path in SOURCES if len(path.read_text().splitlines()) > 400] == []


def test_every_test_asserts_something() -> None:
    silent = []
    for path in sorted(ROOT.glob("tests/**/test_*.py")):
        for function in functions(ast.parse(path.read_text())):
            text = ast.unparse(function)
            # `until` and `expect` fail by themselves when their condition never holds
            if function.name.startswith("test_") and not any(
                word in text for word in ("assert", "raises", "until(", "expect", "check")
            ):
                silent.append(f"{name_of(path)}: {function.name}")
    assert silent == []


def test_nothing_under_var_is_tracked() -> None:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "var"], capture_output=True, text=True, check=False)
    assert listed.stdout == ""


def test_the_report_reads_typed_documents() -> None:
    """At most a tenth of its functions takes or returns `Any`; those read templates.json."""
    counts = {True: 0, False: 0}
    for path in (ROOT / "jobs" / "report").rglob("*.py"):
        for function in functions(ast.parse(path.read_text())):
            parameters = [parameter.annotation for parameter in (*function.args.args, *function.args.kwonlyargs)]
            names = (name for part in (*parameters, function.returns) if part is not None for name in ast.walk(part))
            counts[any(isinstance(name, ast.Name) and name.id == "Any" for name in names)] += 1
    assert counts[True] <= 0.1 * sum(counts.values())
