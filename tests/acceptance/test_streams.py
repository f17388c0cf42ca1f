"""What was done stays done, and is said somewhere, where stdout is full, closed or has no reader."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.acceptance.conftest import BIN, House

SUBMIT = "enqueue command -- true"


def shell(house: House, words: str, redirections: str) -> subprocess.CompletedProcess[str]:
    """jarvisctl under /bin/sh, with stderr kept unless the redirections close it."""
    return subprocess.run(
        ["/bin/sh", "-c", f"exec {BIN}/jarvisctl {words} {redirections}"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=house.folder,
        env=os.environ | {"JARVISD_HOME": str(house.root)},
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "<&- >&-"])
@pytest.mark.parametrize(
    "words", [SUBMIT, SUBMIT.replace("enqueue", "enqueue --json", 1).replace("--json command", "command --json")]
)
def test_a_submission_whose_id_cannot_be_printed_is_reported_on_stderr(
    house: House, words: str, redirection: str
) -> None:
    done = shell(house, words, redirection)
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(house.ctl("runs", "--json").stdout)
    assert f"The run is stored as {run['id']}." in done.stderr
    assert "stdout cannot be written" in done.stderr


@pytest.mark.parametrize("redirection", [">&- 2>&-", "2>/dev/full", "<&- >&- 2>&-", "2>&-", ">/dev/full 2>/dev/full"])
def test_a_submission_succeeds_where_nothing_can_be_said(house: House, redirection: str) -> None:
    assert shell(house, SUBMIT, redirection).returncode == 0
    assert len(json.loads(house.ctl("runs", "--json").stdout)) == 1


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", ">&- 2>&-"])
def test_a_daemon_that_was_started_is_a_success(house: House, redirection: str) -> None:
    try:
        done = shell(house, "start", redirection)
        assert done.returncode == 0, done.stderr
        pid = house.status()["daemon"]["pid"]
        assert "2>&-" in redirection or f"Started (pid {pid})" in done.stderr
    finally:
        stopped = shell(house, "stop", redirection)
    assert stopped.returncode == 0, stopped.stderr


@pytest.mark.parametrize("words", ["pause", "cancel 1", "retry 1", "resume", "prune --keep 0 --yes"])
def test_a_change_that_cannot_be_printed_is_a_success(house: House, words: str) -> None:
    house.enqueue("command", "--", "true")
    if words.startswith(("retry", "prune")):
        house.ctl("cancel", "1")
    assert shell(house, words, ">&-").returncode == 0


def test_a_reading_verb_says_that_stdout_is_full(house: House) -> None:
    house.enqueue("command", "--", "true")
    assert shell(house, "status", ">&-").returncode == 1
    done = shell(house, "status", ">/dev/full")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("jarvisctl: No space left on device.")
    assert "stdout" in done.stderr
