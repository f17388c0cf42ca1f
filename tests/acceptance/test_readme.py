"""Every example in the README does what it says; what it shows of a night's files is checked in test_night.py."""

from __future__ import annotations

import re
import shlex
import subprocess

from tests.acceptance.conftest import BIN, ROOT, House
from tests.acceptance.readme import EXAMPLES


def test_the_readme_has_examples_of_each_kind() -> None:
    starts = {line.split()[0] for line in EXAMPLES}
    assert {"git", "make", "jarvisctl", "cat", "tail", "jq"} <= starts


def test_every_jarvisctl_example_runs(house: House) -> None:
    house.daemon()
    lines = [line for line in EXAMPLES if line.startswith("jarvisctl")]
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line)[1:]
        if "--watch" in words:
            watcher = subprocess.Popen(
                [BIN / "jarvisctl", "--home", house.root, *words], stdout=subprocess.PIPE, text=True
            )
            assert watcher.stdout is not None
            assert "daemon runs" in watcher.stdout.readline()
            watcher.terminate()
            watcher.communicate()
            continue
        if words[0] == "report":
            house.settled("latest", 120)
        assert house.ctl(*words, code=None, timeout_s=120).returncode in (0, 1), line
    assert "anything else that should run tonight" in house.ctl("logs").stdout


def test_the_make_targets_of_the_readme_exist() -> None:
    text = (ROOT / "Makefile").read_text()
    for line in (line for line in EXAMPLES if line.startswith("make ")):
        assert re.search(rf"^{line.split()[1]}:", text, flags=re.M), line


def test_completion_prints_a_script_for_each_shell(house: House) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_JARVISCTL_COMPLETE" in house.ctl("completion", shell).stdout
