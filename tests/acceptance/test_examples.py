"""Every command that the docs show is run, or is marked `# macOS`, or stands under a heading that says "on a Mac"."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jarvisd.cli import VERBS
from tests.acceptance.conftest import BIN, ROOT, House

#: Page -> the test that runs its examples, where that is not the one below.
ELSEWHERE = {"README.md": "test_readme.py", "docs/writing-a-job.md": "test_writing_a_job.py"}
#: The reply that docs/own-scenarios.md has scored.
REPLY = '{"scenario": "running-late", "instruction": "Say no worries", "reply": "No prob!"}\n'
SHELLS = ("sh", "bash", "console")
#: Programs that those tests know what to do with.
KNOWN = {"jarvisctl", "make", "git", "cat", "tail", "jq", "pip"}


@dataclass(frozen=True)
class Example:
    page: str
    headings: tuple[str, ...]  #: the page's title and those below it, down to where the example stands
    line: str
    comment: str  #: behind the command

    @property
    def on_a_mac(self) -> bool:
        return self.comment.startswith("macOS") or any("on a mac" in heading.lower() for heading in self.headings)


def examples(path: Path) -> Iterator[Example]:
    """Indented lines, and those of a fenced block without a language or of a shell's."""
    headings: list[str] = []
    language: str | None = None
    for line in path.read_text().splitlines():
        if line.startswith("```"):
            language = None if language is not None else line[3:].strip() or "sh"
        elif language is None and (heading := re.match(r"(#+) (.+)", line)):
            headings = [*headings[: len(heading[1]) - 1], heading[2]]
        elif line.strip() and (language in SHELLS or (language is None and line.startswith("    "))):
            command, _, comment = line.strip().removeprefix("$ ").partition("  #")
            yield Example(str(path.relative_to(ROOT)), tuple(headings), command.strip(), comment.strip())


PAGES = (ROOT / "README.md", ROOT / "launchd" / "README.md", *sorted((ROOT / "docs").glob("*.md")))
ALL = [example for path in PAGES for example in examples(path)]


def test_every_command_of_the_docs_is_run_by_a_test_or_is_for_a_mac() -> None:
    assert len(ALL) >= 25
    assert [e for e in ALL if not e.on_a_mac and e.line.split()[0] not in KNOWN] == []
    assert [e for e in ALL if e.line.split()[0] == "sudo" and not e.on_a_mac] == []
    for page, test in ELSEWHERE.items():
        assert "EXAMPLES" in (ROOT / "tests" / "acceptance" / test).read_text(), page
    others = [e for e in ALL if not e.on_a_mac and e.page not in ELSEWHERE]
    assert [e for e in others if e.line.split()[0] != "jarvisctl"] == []


def test_no_example_that_a_test_runs_would_write_into_jarvis() -> None:
    deploying = [e for e in ALL if e.line.startswith("jarvisctl deploy") and not e.on_a_mac]
    assert deploying
    assert [e for e in deploying if not re.search(r"--(dry-run|check|to)\b", e.line)] == []


def test_the_examples_of_the_other_pages_run(house: House) -> None:
    house.daemon()
    house.settled(house.enqueue("command", "--", "false"))
    house.environment["VISUAL"] = "true"
    (house.folder / "replies.jsonl").write_text(REPLY)
    lines = [e.line for e in ALL if not e.on_a_mac and e.page not in ELSEWHERE]
    assert lines
    for line in lines:
        assert house.ctl(*shlex.split(line)[1:], code=None, timeout_s=120).returncode in (0, 1), line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_every_verb(shell: str, tmp_path: Path) -> None:
    offered = completed(shell, tmp_path, "")
    assert {verb for group in VERBS.values() for verb in group} <= offered
    assert "vote" in completed(shell, tmp_path, "vo")


def test_completion_offers_what_belongs_to_a_verb(tmp_path: Path) -> None:
    assert {"templates", "model"} <= completed("bash", tmp_path, "deploy", "")
    assert {"--weekdays", "--dry-run"} <= completed("bash", tmp_path, "install", "--")


def completed(shell: str, home: Path, *words: str) -> set[str]:
    """What `jarvisctl` offers for its last word, as the shell's script asks for it."""
    line = " ".join(["jarvisctl", *words])
    environment = os.environ | {"_JARVISCTL_COMPLETE": f"{shell}_complete", "JARVISD_HOME": str(home)}
    environment |= {"COMP_WORDS": line, "COMP_CWORD": words[-1] if shell == "fish" else str(len(words))}
    done = subprocess.run([BIN / "jarvisctl"], env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    return set(lines[1::3] if shell == "zsh" else (re.split(r"[,\t]", line)[1] for line in lines))
