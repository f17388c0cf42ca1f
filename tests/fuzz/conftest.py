"""How one call of jarvisctl is judged, inside this process: there are too many for a process each."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import sys
import unicodedata
from pathlib import Path

import pytest

from jarvisd.cli import main
from jarvisd.paths import Home
from jarvisd.store import database

#: Most processor time of one call and its processes, in seconds (a busy machine changes nothing of it), and the
#: most memory that it may add, in MB.
LIMIT_S, LIMIT_MB = 10.0, 300.0
#: Controls, formats (bidi), surrogates, private ones, line and paragraph separators.
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
#: Exit codes of jarvisctl; 124 where a wait ended.
ENDS = (0, 1, 2, 124)
#: How many times the usual number of examples is tried.
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


class Judge:
    """Calls jarvisctl for one home and fails where an answer is neither a success nor one clear line."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def call(self, *words: str) -> tuple[int, str]:
        """Exit code and stderr."""
        error, began, before = io.StringIO(), _processor_s(), _most_mb()
        code: object = 0
        database.connect(Home(self.home, "--home").database)  # as in a process of its own, whatever a test before used
        with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
            try:
                main(["--home", str(self.home), *words])
            except SystemExit as ended:
                code = ended.code
        stderr = error.getvalue()
        assert _processor_s() - began < LIMIT_S, words
        assert _most_mb() - before < LIMIT_MB, words
        assert code in ENDS, (words, code)
        assert "Traceback" not in stderr
        assert "bug in jarvisd" not in stderr, (words, stderr)
        if code in (1, 2):
            line, *choices, end = stderr.split("\n")
            assert line and not end, (words, stderr)
            assert all(re.match(r" *\d+  ", each) for each in choices), (words, stderr)  # jobs of an ambiguous name
            seen = "".join([line, *choices])
            assert not {character for character in seen if unicodedata.category(character) in UNSEEN}, repr(stderr)
        return int(str(code)), stderr


def _processor_s() -> float:
    return sum(os.times()[:4])


def _most_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    home = tmp_path_factory.mktemp("fuzz") / "home"
    (home / "config" / "plans").mkdir(parents=True)
    (home / "config" / "plans" / "short.yaml").write_text("command:\n  - run: [echo, hello]\nreport: {}\n")
    return Judge(home)
