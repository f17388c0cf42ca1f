"""Every example in the README does what it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import BIN, ROOT, House
from tests.acceptance.test_night import night

EXAMPLES = [
    line.partition("  #")[0].strip()
    for line in re.findall(r"^    (\S.*)$", (ROOT / "README.md").read_text(), flags=re.M)
    if not re.search(r"  # macOS\b", line)
]


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


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_files_that_people_reach_for_answer_as_shown(house: House, small_models: Path) -> None:
    house.daemon()
    house.settled(night(house, small_models), 240)
    for line in (line for line in EXAMPLES if line.split()[0] in ("cat", "jq")):
        out = subprocess.run(shlex.split(line), cwd=house.root, capture_output=True, text=True, check=True).stdout
        assert out.strip() not in ("", "null"), line
        if "avg_latency_ms" in line:
            assert re.search(r'"name": "[^"]+",\s+"latency": [\d.]+', out)
        if ".stats'" in line:
            assert '"coverage_in_sample"' in out


def test_the_make_targets_of_the_readme_exist() -> None:
    text = (ROOT / "Makefile").read_text()
    for line in (line for line in EXAMPLES if line.startswith("make ")):
        assert re.search(rf"^{line.split()[1]}:", text, flags=re.M), line


def test_completion_prints_a_script_for_each_shell(house: House) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_JARVISCTL_COMPLETE" in house.ctl("completion", shell).stdout
