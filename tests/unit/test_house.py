"""The rules of the project, measured on the source: allowed imports, forbidden names, and how long things are."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import statistics
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests import old_words

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"numpy", "torch", "mlx", "mlx_lm", "sentence_transformers", "sklearn", "matplotlib", "scipy", "transformers"}
KINDS = {"mine", "evaluate", "report", "command"}
SOURCES = sorted([*ROOT.glob("jarvisd/**/*.py"), *ROOT.glob("jobs/**/*.py")])
CHECKS = sorted([*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")])
FORBIDDEN_CALLS = {
    *("eval", "exec", "os.system", "os.popen", "pty.spawn", "os.startfile", "asyncio.create_subprocess_shell"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "yaml.load", "yaml.unsafe_load", "torch.load"),
    *("marshal.load", "marshal.loads", "shelve.open"),
}
STARTERS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}
#: The programs of this project: umask 077 must be in force before any of them makes a file.
ENTRY_POINTS = ("jarvisd/cli/__init__.py", "jarvisd/daemon/main.py", "jarvisd/worker/main.py", "jarvisd/web/server.py")
#: The rooms at the top of each package.
MOST_ROOMS = {"jarvisd": 16, "jobs": 6}
#: The only file of the queue that names a job's modules.
REGISTRY = "jarvisd.registry"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


def imports(tree: ast.AST) -> Iterator[str]:
    """Every imported name, dotted; of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(module: str, tree: ast.AST, modules: Mapping[str, Path] = MODULES) -> set[str]:
    """Those of `modules` that this one imports; of `from package import module` the module alone."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            names |= {dotted if dotted in modules else node.module for dotted in inside.values()}
    return {name for name in names if name in modules} - {module}


def room_of(module: str) -> str:
    """The folder or file that stands for a module on the map: jarvisd.store, jobs.mine, jobs.lib.comparison."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[:2] in (["jobs", "lib"], ["jobs", "verbs"]) else 2])


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node (R. Tarjan, SIAM J. Comput. 1 (1972) 146-160)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in arrows.get(node, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            place = stack.index(node)
            components.append(sorted(stack[place:]))
            del stack[place:]

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return [component for component in components if len(component) > 1]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.AST]:
    return {path: ast.parse(path.read_text()) for path in SOURCES}


@pytest.fixture(scope="module")
def check_trees() -> dict[Path, ast.AST]:
    """Those of the tests and benchmarks."""
    return {path: ast.parse(path.read_text()) for path in CHECKS}


@pytest.fixture(scope="module")
def arrows(trees: dict[Path, ast.AST]) -> dict[str, set[str]]:
    """Module -> the modules of this project that it imports."""
    return {module: imported_modules(module, trees[path]) for module, path in MODULES.items()}


# ------------------------------------------------------------------------------------------------ rooms and arrows


def test_the_search_for_circles_finds_one() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c"]]
    assert circles({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_no_files_import_each_other_in_a_circle(arrows: dict[str, set[str]]) -> None:
    assert circles(arrows) == []


def test_no_tests_or_benchmarks_import_each_other_in_a_circle(check_trees: dict[Path, ast.AST]) -> None:
    modules = {module_of(path): path for path in check_trees}
    assert circles({name: imported_modules(name, check_trees[path], modules) for name, path in modules.items()}) == []


def test_what_is_shipped_imports_no_test_and_no_benchmark(trees: dict[Path, ast.AST]) -> None:
    bad = [(name_of(path), name) for path, tree in trees.items() for name in imports(tree)]
    assert [row for row in bad if row[1].partition(".")[0] in ("tests", "benchmarks")] == []


def test_no_rooms_import_each_other_in_a_circle(arrows: dict[str, set[str]]) -> None:
    rooms: dict[str, set[str]] = defaultdict(set)
    for module, others in arrows.items():
        rooms[room_of(module)] |= {room_of(other) for other in others} - {room_of(module)}
    assert circles(rooms) == []


@pytest.mark.parametrize("package", ["jarvisd", "jobs"])
def test_there_are_few_rooms_at_the_top(package: str) -> None:
    tops = {module.split(".")[1] for module in MODULES if module.startswith(f"{package}.")}
    assert len(tops) <= MOST_ROOMS[package], sorted(tops)


def test_the_queue_imports_no_job_and_no_numerical_library(trees: dict[Path, ast.AST]) -> None:
    bad = [
        (name_of(path), name)
        for path, tree in trees.items()
        for name in imports(tree)
        if path.is_relative_to(ROOT / "jarvisd") and name.partition(".")[0] in HEAVY | {"jobs"}
    ]
    assert bad == []


def test_the_queue_names_a_job_in_its_registry_alone(trees: dict[Path, ast.AST]) -> None:
    """A dotted name in a string is an import, too."""
    named = re.compile(r"jobs(\.\w+)+(:\w+)?")
    bad = [
        (module, node.value)
        for module, path in MODULES.items()
        if module.startswith("jarvisd") and module != REGISTRY
        for node in ast.walk(trees[path])
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and named.fullmatch(node.value)
    ]
    assert bad == []


def test_no_kind_of_job_and_no_verb_imports_another_kind_and_the_library_imports_neither(
    arrows: dict[str, set[str]],
) -> None:
    bad = []
    for module, others in arrows.items():
        parts = module.split(".")
        if parts[0] != "jobs" or len(parts) < 2:
            continue
        allowed = {"lib", parts[1]}
        bad += [(module, other) for other in others if other.startswith("jobs.") and other.split(".")[1] not in allowed]
    assert bad == []


def test_kinds_and_the_library_know_the_queue_by_its_plugin_module_alone(arrows: dict[str, set[str]]) -> None:
    """Verbs, which `commands.py` of a kind holds too, may also call operations and print."""
    bad = [
        (module, other)
        for module, others in arrows.items()
        if module.startswith("jobs.") and not is_verb(module)
        for other in others
        if other.startswith("jarvisd") and other != "jarvisd.plugin"
    ]
    assert bad == []


def test_only_verbs_import_the_command_line(arrows: dict[str, set[str]]) -> None:
    bad = [
        (module, other)
        for module, others in arrows.items()
        if module.split(".")[:2] != ["jarvisd", "cli"] and not is_verb(module)
        for other in others
        if other.startswith("jarvisd.cli")
    ]
    assert bad == []


def is_verb(module: str) -> bool:
    return module.startswith("jobs.verbs") or module.endswith((".commands", ".web"))


def test_what_the_queue_loads_of_a_kind_is_light(trees: dict[Path, ast.AST]) -> None:
    """plan.py is imported by `enqueue`: nothing heavy."""
    plans = list(ROOT.glob("jobs/*/plan.py"))
    assert len(plans) >= len(KINDS)
    for path in plans:
        assert not {name.partition(".")[0] for name in imports(trees[path])} & HEAVY, name_of(path)


def plain_name(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_every_imported_package_is_declared(trees: dict[Path, ast.AST]) -> None:
    """A package that is there only because another one needs it may go with that one's next version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    declared = {plain_name(re.split(r"[\[<>=;! ]", line)[0]) for line in [*project["dependencies"], *extras]}
    top = {name.partition(".")[0] for tree in trees.values() for name in imports(tree)}
    foreign = top - sys.stdlib_module_names - {"jarvisd", "jobs"}
    distributions = importlib.metadata.packages_distributions()
    known = {name: set(map(plain_name, distributions.get(name, [name]))) for name in foreign}  # an extra may be missing
    missing = {name for name, names in known.items() if not names & declared}
    assert len(foreign) > 10
    assert missing == set()


def test_the_report_reads_typed_documents() -> None:
    """At most a tenth of its functions takes or returns `Any`; those read templates.json."""
    counts = {True: 0, False: 0}
    for path in (ROOT / "jobs" / "report").rglob("*.py"):
        for function in functions(ast.parse(path.read_text())):
            parameters = [parameter.annotation for parameter in (*function.args.args, *function.args.kwonlyargs)]
            names = (name for part in (*parameters, function.returns) if part is not None for name in ast.walk(part))
            counts[any(isinstance(name, ast.Name) and name.id == "Any" for name in names)] += 1
    assert counts[True] <= 0.1 * sum(counts.values())


# ------------------------------------------------------------------------------------------------ what is never called


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
    """A string as a command would need a shell; `shell=` itself is refused above."""
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
    (main,) = [function for function in functions(ast.parse((ROOT / name).read_text())) if function.name == "main"]
    first = next(
        node for node in main.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )
    assert ast.unparse(first) == "os.umask(63)"


# ---------------------------------------------------------------------------------------------------------- words


def test_words_that_were_given_up_stay_away() -> None:
    """A place that may keep one stands in tests/old_words.py with its reason."""
    uses = old_words.uses(ROOT)
    assert old_words.refused(uses) == []
    assert old_words.unneeded(uses) == []


def test_no_variable_has_a_name_that_says_nothing(trees: dict[Path, ast.AST], check_trees: dict[Path, ast.AST]) -> None:
    bad = [
        f"{name_of(path)}:{line}: {name}"
        for path, tree in (trees | check_trees).items()
        for line, name in old_words.vague_variables(tree)
    ]
    assert bad == []


# ------------------------------------------------------------------------------------------------------- how long


@pytest.mark.parametrize("part", ["sources", "tests and benchmarks"])
def test_functions_and_files_stay_short(
    part: str, trees: dict[Path, ast.AST], check_trees: dict[Path, ast.AST]
) -> None:
    measured = trees if part == "sources" else check_trees
    lengths = sorted(length(function) for tree in measured.values() for function in functions(tree))
    assert statistics.median(lengths) <= 8
    assert lengths[int(len(lengths) * 0.9)] <= 20
    assert lengths[-1] <= 50
    assert [name_of(path) for path in measured if len(path.read_text().splitlines()) > 400] == []


def test_every_function_is_annotated(trees: dict[Path, ast.AST], check_trees: dict[Path, ast.AST]) -> None:
    """mypy demands it of the sources; this demands it of tests and benchmarks, too."""
    bad = [
        f"{name_of(path)}:{function.lineno}: {function.name}"
        for path, tree in (trees | check_trees).items()
        for function in functions(tree)
        if function.returns is None or any(parameter.annotation is None for parameter in _parameters(function))
    ]
    assert bad == []


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [parameter for parameter in parameters if parameter.arg not in ("self", "cls")]


def test_every_test_asserts_something(check_trees: dict[Path, ast.AST]) -> None:
    """An `assert` statement or a `pytest.raises`: words in a name or a comment do not count."""
    tests = [
        (path, function)
        for path, tree in check_trees.items()
        for function in functions(tree)
        if path.name.startswith("test_") and function.name.startswith("test_")
    ]
    assert len(tests) > 1000
    assert [f"{name_of(path)}: {function.name}" for path, function in tests if not _asserts(function)] == []


def _asserts(function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.raises", "pytest.warns"))
        for node in ast.walk(function)
    )


def test_nothing_under_var_is_tracked() -> None:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "var"], capture_output=True, text=True, check=False)
    assert listed.stdout == ""
