"""The docs cannot rot: every verb is documented and has an example, and what they show exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

from jarvisd.cli import HELP, VERBS, cli

ROOT = Path(__file__).resolve().parents[2]
ALL = [verb for group in VERBS.values() for verb in group]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def command(verb: str) -> click.Command:
    found = cli.get_command(click.Context(cli), verb)
    assert found is not None
    return found


@pytest.mark.parametrize("verb", ALL)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    text = command(verb).get_help(click.Context(command(verb)))
    assert "Example:" in text
    assert f"jarvisctl {verb}" in text
    assert HELP[verb]


@pytest.mark.parametrize("verb", ALL)
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert re.search(rf"`{verb}\b", (ROOT / "README.md").read_text()), verb


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_jarvisctl_line_in_the_docs_names_a_verb_and_options_that_exist(path: Path) -> None:
    for line in re.findall(r"^(?:    |\$ )?jarvisctl (.+)$", path.read_text(), flags=re.M):
        words = line.split(" # ")[0].split()
        known = command(words[0])
        options = {option for parameter in known.params for option in (*parameter.opts, *parameter.secondary_opts)}
        own = words[1 : words.index("--")] if "--" in words else words[1:]
        for word in own:
            if word.startswith("-"):
                assert word.partition("=")[0] in options | {"--help", "--home"}, f"{path.name}: {line}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_file_the_docs_link_to_exists(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_changelog_has_the_version_of_the_package() -> None:
    from jarvisd import __version__

    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{__version__}]" in text
    assert "## [Unreleased]" in text


@pytest.mark.parametrize("path", sorted(ROOT.glob("config/**/*.yaml")), ids=lambda path: path.name)
def test_shipped_configuration_is_plain_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)
