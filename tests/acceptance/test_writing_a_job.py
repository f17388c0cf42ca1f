"""The example of docs/writing-a-job.md: quoted as it is, installed as it says, and run by the real daemon."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.web import process
from tests.acceptance.conftest import ROOT, House
from tests.web_client import log_in

EXAMPLE = ROOT / "docs" / "examples" / "wordcount"
PAGE = (ROOT / "docs" / "writing-a-job.md").read_text()
#: The commands of its last section.
EXAMPLES = re.findall(r"^    (\S.*)$", PAGE.partition("## Installing and running it")[2], flags=re.M)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The example, installed away from the checkout: no network, its libraries come from this environment."""
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--target", str(target), str(source)], check=True)
    return target


FILES = ("pyproject.toml", *(f"wordcount/{name}" for name in ("plan.py", "__init__.py", "web.py", "words.html")))


@pytest.mark.parametrize("name", [*FILES, "words.yaml"])
def test_the_page_quotes_the_example_as_it_is(name: str) -> None:
    language = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".html": "html"}[Path(name).suffix]
    assert f"```{language}\n{(EXAMPLE / name).read_text()}```" in PAGE


def test_the_example_is_all_there_is() -> None:
    suffixes = {path.suffix for path in EXAMPLE.rglob("*") if path.is_file()} - {".pyc"}
    assert suffixes == {".py", ".toml", ".yaml", ".html"}


def test_a_kind_from_a_package_runs_keeps_its_checkpoints_and_goes_with_its_job(
    house: House, site: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    house.environment |= {"PYTHONPATH": str(site), "HOME": str(tmp_path)}
    plans = house.root / "config" / "plans"
    plans.mkdir(parents=True)
    shutil.copy(EXAMPLE / "words.yaml", plans)

    warned = house.ctl("enqueue", "words")
    assert f"wordcount: no such folder: {notes}. Make it" in warned.stderr
    refused = house.ctl("enqueue", "words", "--set", "wordcount.top=0", code=2)
    assert "wordcount.top" in refused.stderr
    assert '"wordcount"' in house.ctl("config", "--schema", "plan").stdout

    notes.mkdir()
    (notes / "a.txt").write_text("one two two\n")
    (notes / "b.txt").mkdir()  # the second checkpoint goes wrong
    house.daemon()
    run = warned.stdout.strip()
    assert house.settled(run)["wordcount"]["status"] == "failed"

    (notes / "b.txt").rmdir()
    (notes / "b.txt").write_text("two three\n")
    house.ctl("retry", "wordcount")
    job = house.settled(run)["wordcount"]
    assert (job["status"], job["progress"]["done"], job["progress"]["total"]) == ("succeeded", 2, 2)
    assert "1 of 2 files are counted already" in house.ctl("logs", "wordcount").stdout
    report = Path(house.ctl("report", "--path").stdout.strip())
    document = json.loads((report.parent / "wordcount.json").read_text())
    assert document == {"files": 2, "words": 5, "top": [["two", 3], ["one", 1], ["three", 1]]}

    house.ctl("open", "--url")
    home = Home(house.root, "--home")
    running = process.running(home)
    assert running is not None
    screen = log_in(home, running).text("wordcount")
    assert "Words</a>" in screen and "5 words in all files." in screen
    assert '<th scope="row">two</th><td>3</td>' in screen

    house.ctl("retry", "wordcount", "--fresh")
    house.settled(run)
    assert "0 of 2 files are counted already" in house.ctl("logs", "wordcount", "-n", "5").stdout

    install, *lines = EXAMPLES
    assert install == f"pip install ./{EXAMPLE.relative_to(ROOT)}"  # as `site` does it
    assert "jarvisctl enqueue words" in lines
    for line in lines:
        house.ctl(*shlex.split(line.removeprefix("jarvisctl")))
    assert house.jobs("latest")["wordcount"]["status"] == "succeeded"
