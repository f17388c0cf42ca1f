"""The docs cannot rot: every verb is documented and has an example, and what they show exists."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

from jarvisd.cli import HELP, VERBS, cli
from jarvisd.cli.common import App
from jarvisd.daemon import attempt
from jarvisd.host import files
from jarvisd.plan import yamlfile
from jarvisd.plan.settings import Settings
from jarvisd.store import database, salvage, transitions
from jobs.evaluate.replies import prompt
from jobs.lib.comparison import document, scores
from jobs.lib.comparison.two_measures import MeasureFigures
from jobs.lib.comparison.votes import VoteSummary
from jobs.lib.imessage import database as imessage
from jobs.lib.results import templates_document
from jobs.lib.results.tables import Template
from jobs.report.formats import csv_export
from jobs.report.rows import metrics as metric_rows

ROOT = Path(__file__).resolve().parents[2]
ALL = [verb for group in VERBS.values() for verb in group]
DOCS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "launchd" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def command(verb: str) -> click.Command:
    known = cli.get_command(click.Context(cli), verb)
    assert known is not None
    return known


@pytest.mark.parametrize("verb", ALL)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    text = command(verb).get_help(click.Context(command(verb)))
    assert "Example:" in text
    assert f"jarvisctl {verb}" in text
    assert HELP[verb]


@pytest.mark.parametrize("verb", ALL)
def test_every_verb_is_in_the_reference(verb: str) -> None:
    assert f"### `{verb}`\n" in (ROOT / "docs" / "verbs.md").read_text()


@pytest.mark.parametrize("verb", ALL)
def test_the_examples_of_a_verb_are_accepted_by_it(verb: str) -> None:
    """All their words, options and values, without what a shell does with them and the remark behind two spaces."""
    text = command(verb).get_help(click.Context(command(verb))).partition("Example:")[2]
    examples = re.findall(r"^ +(?:[^\n|]+\| )?jarvisctl (.+?)(?: > .*| {2,}.*)?$", text, flags=re.M)
    assert examples
    for line in examples:
        known, words = command(verb), shlex.split(line)[1:]
        while isinstance(known, click.Group) and words and words[0] in known.commands:
            known, words = known.commands[words[0]], words[1:]
        known.make_context(verb, words, obj=App.at(None))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_jarvisctl_line_in_the_docs_names_a_verb_and_options_that_exist(path: Path) -> None:
    text = path.read_text()
    lines = re.findall(r"^(?:    |\$ )?jarvisctl (.+)$", text, flags=re.M)
    inline = [" ".join(quoted.split()) for quoted in re.findall(r"`jarvisctl ([^`]+)`", text)]
    for line in lines + inline:
        words = line.split(" # ")[0].split()
        known = command(words[0]) if not words[0].startswith("-") else cli
        if isinstance(known, click.Group) and len(words) > 1:
            known = known.get_command(click.Context(known), words[1]) or known
        options = {option for parameter in known.params for option in (*parameter.opts, *parameter.secondary_opts)}
        own = words[1 : words.index("--")] if "--" in words else words[1:]
        for word in own:
            if word.startswith("-"):
                assert word.partition("=")[0] in options | {"--help", "--home"}, f"{path.name}: {line}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_the_docs_link_to_exists(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """docs/reference.py, which writes the generated pages."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_of_the_configuration_is_what_its_models_say(reference: ModuleType) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert text == reference.text(), "run: .venv/bin/python docs/reference.py"
    assert [line for line in text.splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def test_the_reference_of_verbs_is_what_their_help_says(reference: ModuleType) -> None:
    text = (ROOT / "docs" / "verbs.md").read_text()
    assert text == reference.verbs(), "run: .venv/bin/python docs/reference.py"
    for title, verbs in VERBS.items():
        section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^### `(\w+)`$", section, flags=re.M) == list(verbs)


@pytest.mark.parametrize(
    "part",
    [
        *(document.ComparisonDocument, document.ModelDocument, document.Generation, document.PairDocument),
        *(document.Verdict, document.Difference, document.Split, document.Scenario),
        *(scores.ModelFigures, scores.MetricFigures, scores.AdjustedFigures, MeasureFigures, VoteSummary),
    ],
)
def test_the_page_of_results_has_every_key_of_the_comparison(part: type) -> None:
    page = (ROOT / "docs" / "results.md").read_text()
    keys = [each.metadata.get("json", each.name) for each in dataclasses.fields(part)]
    assert [key for key in keys if f"`{key}`" not in page] == []


def test_the_page_of_results_has_every_column_and_every_key_of_a_template() -> None:
    page = (ROOT / "docs" / "results.md").read_text()
    columns = {*csv_export._REPLY, *csv_export._STATS, *metric_rows.METRICS}
    keys = {*columns, *templates_document._template(Template())}
    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []


def test_every_page_is_in_the_site_and_on_its_first_page() -> None:
    """`make docs` itself, which also checks every link, needs mkdocs-material."""
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert site["theme"]["font"] is False, "a page must not load fonts from the network"
    named = re.findall(r"[\w-]+\.md", str(site["nav"]))
    pages = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    assert sorted(named) == pages
    first = (ROOT / "docs" / "index.md").read_text()
    assert [name for name in pages if name != "index.md" and f"({name})" not in first] == []
    assert [name for name in pages if "](../" in (ROOT / "docs" / name).read_text()] == []


def test_the_commands_of_make_and_the_files_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    targets = re.findall(r"`make ([\w-]+)", text)
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if f"\n{target}:" not in makefile] == []
    paths = re.findall(r"`((?:jarvisd|jobs|tests|docs)/[\w./]*)`", text)
    assert len(paths) >= 10
    assert [path for path in paths if not re.search("NAME|N_what", path) and not (ROOT / path).exists()] == []


def test_the_badges_of_the_readme_are_facts() -> None:
    from jarvisd import __version__

    badges = re.findall(r"!\[([^\]]+)\]\(https://img\.shields\.io", (ROOT / "README.md").read_text())
    assert badges[:2] == [f"version {__version__}", "Python 3.11 to 3.14"]


def rooms() -> list[Path]:
    """Every file and folder of the first column of the map; in a cell a bare name lies beside the first one."""
    paths: list[Path] = []
    for cell in re.findall(r"^\| (`(?:jarvisd|jobs)/[^|]*) \|", (ROOT / "docs" / "design.md").read_text(), flags=re.M):
        first, *others = re.findall(r"`([^`]+)`", cell)
        paths += [ROOT / first, *(ROOT / Path(first).parent / other for other in others)]
    return paths


def test_the_map_names_what_is_there() -> None:
    named = rooms()
    assert [path for path in named if not path.exists()] == []
    assert len(set(named)) == len(named)


def test_every_file_that_the_design_page_names_exists() -> None:
    """In the map a file is named by its place in the row's folder; elsewhere by its path, or by a name of its own."""
    text = (ROOT / "docs" / "design.md").read_text()
    missing = []
    for line in text.splitlines():
        row = re.match(r"\| `((?:jarvisd|jobs)/[\w/]+/)` \|", line)
        for name in re.findall(r"`([\w./]+(?:\.py|/))`", line):
            folder = ROOT / row[1] if row and not name.startswith(("jarvisd/", "jobs/")) else ROOT
            is_there = (folder / name).exists() or ("/" not in name and not row and any(ROOT.glob(f"j*/**/{name}")))
            missing += [] if is_there else [f"{line[:60]}: {name}"]
    assert missing == []


@pytest.mark.parametrize("package", ["jarvisd", "jobs"])
def test_every_module_stands_in_the_map(package: str) -> None:
    files = [path for path in ROOT.glob(f"{package}/**/*.py") if path.name != "__init__.py"]
    named = set(rooms())
    assert [str(path.relative_to(ROOT)) for path in files if not {path, *path.parents} & named] == []


def test_the_answers_to_the_ten_questions_are_where_the_page_says() -> None:
    section = (ROOT / "docs" / "design.md").read_text().partition("## Ten questions")[2].partition("\n## ")[0]
    answers = re.findall(r"`((?:jarvisd|jobs)/[\w/]+\.py)`: `(\w+)`", section)
    assert len(re.findall(r"^\| [A-Z].*\? \|", section, flags=re.M)) == 10
    assert len(answers) >= 10
    for file, name in answers:
        assert re.search(rf"^(def|class) {name}\b", (ROOT / file).read_text(), flags=re.M), f"{file}: {name}"


def test_every_message_of_the_faq_is_said_by_the_code() -> None:
    """A heading of the FAQ quotes a message; `…` stands for what differs each time. The rest stands in the source."""
    headings = re.findall(r"^### (.+)$", (ROOT / "docs" / "faq.md").read_text(), flags=re.M)
    headings = [heading for heading in headings if not re.fullmatch(r"[^`]+\?", heading)]  # questions of beginners
    quoted = [heading.strip("` ") if "``" not in heading else heading[3:-3] for heading in headings]
    assert len(quoted) >= 20
    source = "\n".join(literals())
    missing = [part for quote in quoted for part in re.split(r"\s*…\s*", quote) if part and part not in source]
    assert missing == []
    assert [quote for quote in quoted if max(map(len, quote.split("…"))) < 10] == []


def literals() -> Iterator[str]:
    """Every text in the source, with `…` where an f-string has a value; a text in two halves is one."""
    for path in [*ROOT.glob("jarvisd/**/*.py"), *ROOT.glob("jobs/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 200
    assert [path.name for path in DOCS[1:] if f"({path.relative_to(ROOT)})" not in text] == []
    picture = (ROOT / "docs" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 400_000


def test_the_changelog_has_the_version_of_the_package() -> None:
    from jarvisd import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", text, flags=re.M)
    assert "## [Unreleased]" in text
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_the_accepted_versions_of_python_are_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    first, last = versions[0], versions[-1]
    assert project["requires-python"] == f">={first},<3.{int(last[2:]) + 1}"
    assert f"<= (3, {last[2:]}))" in (ROOT / "Makefile").read_text()
    for name in ("Makefile", "README.md", "CONTRIBUTING.md"):
        assert f"Python {first} to {last}" in " ".join((ROOT / name).read_text().split()), name
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == versions


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/ISSUE_TEMPLATE/[!c]*.yml")), ids=lambda path: path.name)
def test_issue_forms_ask_for_the_doctor(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert form["name"]
    assert form["description"]
    assert any("jarvisctl doctor --json" in part["attributes"].get("label", "") for part in form["body"])


@pytest.mark.parametrize("path", sorted(ROOT.glob("config/**/*.yaml")), ids=lambda path: path.name)
def test_shipped_configuration_is_plain_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_the_limits_of_the_reliability_page_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    for row in (
        f"when they are kept | {files.OLD_S / 3600:.0f} hour",
        f"of a damaged database | {salvage.SHOWN_FOR.total_seconds() / 3600:.0f} hours",
        f"of a damaged table | {salvage.MOST_PROBES:,}",
        f"of a job | {attempt.LARGEST_LOG_MB} MB",
        f"that the database is busy | {database.CLIENT_PATIENCE_S:.0f} s",
        f"waits for a write lock | {database.LONG_PATIENCE_S / 60:.0f} min",
        f"of any list in a configuration file | {yamlfile.MAX_ENTRIES:,}",
        f"Values in one configuration file | {yamlfile.MAX_NODES:,}",
        f"Size of one configuration file | {yamlfile.MAX_BYTES // 1024:,} KB",
        f"before a job is given up | {transitions.MAX_STARTS_WITHOUT_PROGRESS}",
        f"because the program had not begun | {transitions.MAX_STARTS_GIVEN_BACK}",
        f"processes are killed | {attempt.GRACE_S:.0f} s",
        f"to render one prompt | {prompt.LIMIT_S:.0f} s",
        f"read from chat.db | {imessage.LONGEST_VALUE // 1024:,} KB",
    ):
        assert row in page


def test_every_recipe_for_a_notification_is_a_setting(tmp_path: Path) -> None:
    recipes = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "notify.md").read_text(), flags=re.S)
    assert len(recipes) >= 4
    for number, recipe in enumerate(recipes):
        path = tmp_path / f"{number}.yaml"
        path.write_text(recipe)
        notify = yamlfile.load(path, Settings).notify
        assert notify is not None
        assert notify.when == "always"
