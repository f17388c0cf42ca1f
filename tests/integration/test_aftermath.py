"""What follows a run: old ones go, the owner's program is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from jarvisd import logs
from jarvisd.cli import cli, status
from jarvisd.cli.common import App
from jarvisd.daemon import hooks
from jarvisd.host import power
from jarvisd.operations import notification, retention
from jarvisd.paths import Home
from jarvisd.store import database, queries, queue, transitions
from jarvisd.store.models import Job, Run, Status
from tests.acceptance.conftest import ROOT, until

MakeRun = Callable[..., Run]


def finish(run: Run, status: Status = Status.SUCCEEDED) -> Run:
    """Settle every job of a run, which is the only one pending."""
    while (job := transitions.claim("here", "boot", database.now())) is not None:
        queue.settle(job, Status.SUCCEEDED if job.kind == "report" else status, None, database.now())
    assert queries.is_settled(run)
    return run


def files_of(home: Home, run: Run) -> list[Path]:
    """A results folder and the jobs' logs, made here."""
    folder = home.run_folder(run.id)
    folder.mkdir()
    (folder / "REPORT.md").write_text("a report")
    logs = [home.job_log(job.id) for job in queries.jobs_of(run)]
    for log in logs:
        log.write_text("a log")
    return [folder, *logs]


def test_an_old_run_goes_with_its_rows_results_and_logs(home: Home, make_run: MakeRun) -> None:
    old, new = (finish(make_run("mine", "report")) for _ in range(2))
    removed, kept = files_of(home, old), files_of(home, new)
    assert retention.remove(home, retention.removable(1)) == 1
    assert [run.id for run in Run.select()] == [new.id]
    assert {job.run_id for job in Job.select()} == {new.id}
    assert not any(path.exists() for path in removed)
    assert all(path.exists() for path in kept)


def test_a_run_that_is_open_and_the_newest_report_stay_whatever_is_asked(home: Home, make_run: MakeRun) -> None:
    finish(make_run("mine", "report", plan="oldest"))
    reported = finish(make_run("mine", "report", plan="reported"))
    finish(make_run("command", plan="later"))
    waiting = make_run("mine", plan="waiting")
    names = {run.plan for run in retention.removable(0)}
    assert names == {"oldest", "later"}
    assert {reported.plan, waiting.plan}.isdisjoint(names)


def test_neither_the_newest_report_nor_the_run_that_latest_names_goes(home: Home, make_run: MakeRun) -> None:
    """They are two where the newest run's own report could not be written."""
    finish(make_run("mine", "report", plan="reported"))
    make_run("mine", "report", plan="newest")
    while (job := transitions.claim("here", "boot", database.now())) is not None:
        queue.settle(job, Status.FAILED, None, database.now())
    finish(make_run("command", plan="later"))
    assert {run.plan for run in retention.removable(0)} == {"later"}


def test_a_run_that_was_retried_meanwhile_is_not_removed(home: Home, make_run: MakeRun) -> None:
    old = finish(make_run("mine", "report"))
    finish(make_run("mine", "report"))
    chosen = retention.removable(1)
    queue.retry(queries.jobs_of(old))
    assert retention.remove(home, chosen) == 0
    assert Run.select().count() == 2


def test_what_a_crash_left_of_a_pruned_run_goes_the_next_time(home: Home) -> None:
    left = home.results / ".pruned-2026-01-01-overnight"
    left.mkdir()
    (left / "REPORT.md").touch()
    retention.remove(home, [])
    assert not left.exists()


def test_a_results_folder_that_is_a_link_is_not_followed(home: Home, make_run: MakeRun, tmp_path: Path) -> None:
    old = finish(make_run("mine", "report"))
    finish(make_run("mine", "report"))
    elsewhere = tmp_path / "precious"
    elsewhere.mkdir()
    (elsewhere / "thesis.tex").touch()
    home.run_folder(old.id).symlink_to(elsewhere)
    retention.remove(home, retention.removable(1))
    assert (elsewhere / "thesis.tex").exists()
    assert [path.name for path in home.results.iterdir()] == [old.id]


def test_prune_lists_first_and_asks(home: Home, make_run: MakeRun) -> None:
    old = finish(make_run("mine", "report"))
    finish(make_run("mine", "report"))
    call = ["--home", str(home.root), "prune", "--keep", "1"]
    (logs.make_folder(home, old.id) / "replies.csv").write_bytes(b"x" * 2_600_000)
    listed = CliRunner().invoke(cli, [*call, "--dry-run"])
    assert (listed.exit_code, old.id in listed.output) == (0, True)
    assert "Would remove 1 run with all results, 3 MB." in listed.output
    refused = CliRunner().invoke(cli, call)
    assert "--yes" in str(refused.exception)
    assert Run.select().count() == 2
    assert "Removed 1 run." in CliRunner().invoke(cli, [*call, "--yes"]).output


# ---------------------------------------------------------------------------------------------------------- being told


def told(home: Home, tmp_path: Path, body: str, **fields: object) -> Path:
    """Settings with a program that runs `body`; returns the file it may write."""
    target = tmp_path / "told.json"
    program = tmp_path / "tell.py"
    program.write_text(f"import sys, time\ntarget = {str(target)!r}\n{body}\n")
    (home.root / "config").mkdir(exist_ok=True)
    document = {"notify": {"command": [sys.executable, str(program), "a b; $(c)"], **fields}}
    (home.root / "config" / "settings.yaml").write_text(json.dumps(document))
    return target


def test_a_run_with_failures_is_told_with_its_status_and_arguments_reach_it_unchanged(
    home: Home, make_run: MakeRun, tmp_path: Path
) -> None:
    target = told(home, tmp_path, "open(target, 'w').write(sys.stdin.read() + '\\n' + sys.argv[1])")
    hooks.run_settled(home, finish(make_run("mine", "report"), Status.FAILED))
    document, argument = written(target).split("\n")
    assert [job["status"] for job in json.loads(document)["jobs"]] == ["failed", "succeeded"]
    assert argument == "a b; $(c)"


def test_the_verdict_and_the_page_are_told(
    home: Home, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the program as keys, and in the notification in one line; a click opens the page."""
    target = told(home, tmp_path, "open(target, 'w').write(sys.stdin.read())", when="always")
    run = finish(make_run("mine", "report"))
    summary = {"problems": 0, "verdict": "Switch to Gemma 3\n270M"}
    Job.update(outcome={"attempt": 1, "ok": True, "summary": summary}).where(Job.kind == "report").execute()
    page = logs.make_folder(home, run.id) / "report.html"
    page.touch()
    notes: list[tuple[str, Path | None]] = []
    monkeypatch.setattr(power, "notify", lambda _title, text, *, opens: notes.append((text, opens)))
    hooks.run_settled(home, run)
    document = json.loads(written(target))
    assert (document["verdict"], document["page"]) == ("Switch to Gemma 3 270M", str(page))
    counts = f"{run.id}: 1 of 1 jobs succeeded. The report is ready: jarvisctl report --open"
    assert notes == [(f"Switch to Gemma 3 270M. {counts}", page)]


def test_what_a_program_is_told_holds_nothing_of_what_jobs_were_given_or_found(
    home: Home, make_run: MakeRun, tmp_path: Path
) -> None:
    canary = "the canary sings at midnight"
    target = told(home, tmp_path, "open(target, 'w').write(sys.stdin.read())")
    run = finish(make_run("mine", "report"), Status.FAILED)
    Job.update(params={"prompt": canary}, outcome={"attempt": 1, "ok": False, "summary": {"reply": canary}}).execute()
    Run.update(snapshot={"plan": {"opening": canary}}).execute()
    hooks.run_settled(home, Run.get_by_id(run.id))
    assert run.id in written(target)
    assert "canary" not in target.read_text()


def test_a_run_without_failures_is_not_told_unless_asked_for(home: Home, make_run: MakeRun, tmp_path: Path) -> None:
    run = finish(make_run("mine", "report"))
    target = told(home, tmp_path, "open(target, 'w')")
    hooks.run_settled(home, run)
    assert not target.exists()
    told(home, tmp_path, "open(target, 'w').write('told')", when="always")
    hooks.run_settled(home, run)
    assert written(target) == "told"


def test_a_program_that_hangs_is_ended_and_holds_nothing_up(home: Home, make_run: MakeRun, tmp_path: Path) -> None:
    target = told(home, tmp_path, "import os; open(target, 'w').write(str(os.getpid())); time.sleep(600)", timeout_s=3)
    run = finish(make_run("mine"), Status.FAILED)
    began = time.monotonic()
    hooks.run_settled(home, run)
    assert time.monotonic() - began < 3
    program = psutil.Process(int(written(target)))
    assert notification.line(home) == f"notify: {sys.executable} runs for {run.id}."
    assert f"notify: {sys.executable} runs" in "\n".join(status.lines(App(home), None))
    assert until(lambda: not program.is_running() or program.status() == "zombie", 20, "it is ended")
    assert until(lambda: not notification.line(home), 20, "the line is gone")
    assert "took longer than 3 s" in until(lambda: (home.logs / "jarvisd.log").read_text(), 20, "the log says so")


def test_two_programs_never_run_at_the_same_time(home: Home, make_run: MakeRun, tmp_path: Path) -> None:
    body = "stream = open(target, 'a'); stream.write('begin '); stream.flush(); time.sleep(1); stream.write('end ')"
    target = told(home, tmp_path, body)
    for _ in range(3):
        hooks.run_settled(home, finish(make_run("mine"), Status.FAILED))
    until(lambda: target.exists() and target.read_text().count("end") == 3, 60, "all three have run")
    assert target.read_text() == "begin end " * 3


def test_a_program_outlives_neither_its_limit_nor_a_daemon_that_was_killed(
    home: Home, make_run: MakeRun, tmp_path: Path
) -> None:
    target = told(home, tmp_path, "import os; open(target, 'w').write(str(os.getpid())); time.sleep(600)", timeout_s=4)
    run = finish(make_run("mine"), Status.FAILED)
    call = f"from tests.integration import test_aftermath as t; t.settle_and_die({str(home.root)!r}, {run.id!r})"
    done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    program = psutil.Process(int(written(target)))
    assert until(lambda: not program.is_running() or program.status() == "zombie", 30, "it is ended")


def settle_and_die(root: str, run_id: str) -> None:
    """What the daemon does at the end of a run, and then a kill."""
    home = Home(Path(root), "--home")
    database.connect(home.database)
    hooks.run_settled(home, Run.get_by_id(run_id))
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_program_that_hangs_has_started_is_ended_with_it(home: Home, make_run: MakeRun, tmp_path: Path) -> None:
    below = "import subprocess; below = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    target = told(home, tmp_path, f"{below}\nopen(target, 'w').write(str(below.pid))\ntime.sleep(600)", timeout_s=3)
    hooks.run_settled(home, finish(make_run("mine"), Status.FAILED))
    pid = int(written(target))
    assert until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", 20, "it is gone too")


def written(target: Path) -> str:
    """What the program has written, once it has: nothing waits for it."""
    text: str = until(lambda: target.exists() and target.read_text(), 30, "the program has run")
    return text


@pytest.mark.parametrize("text", ["notify: {command: [/nowhere/at/all]}", "notify: {command: []}", "keep: {"])
def test_an_error_in_it_does_not_fail_the_run(home: Home, make_run: MakeRun, text: str) -> None:
    (home.root / "config").mkdir()
    (home.root / "config" / "settings.yaml").write_text(text)
    hooks.run_settled(home, finish(make_run("mine"), Status.FAILED))
    assert Run.select().count() == 1


def test_keep_removes_the_oldest_after_a_run(home: Home, make_run: MakeRun) -> None:
    runs = [finish(make_run("mine", "report")) for _ in range(3)]
    (home.root / "config").mkdir()
    (home.root / "config" / "settings.yaml").write_text("keep: 2")
    hooks.run_settled(home, runs[-1])
    assert [run.id for run in Run.select().order_by(Run.number)] == [run.id for run in runs[1:]]


def test_settings_that_were_changed_go_for_the_next_run(home: Home, make_run: MakeRun) -> None:
    """They are kept while their file is the same, and read again when it is not."""
    (home.root / "config").mkdir(exist_ok=True)
    first, second = finish(make_run("command:a")), finish(make_run("command:b"))
    for text, left in (("keep: 9", 2), ("keep: 9", 2), ("keep: 1\n# now", 1)):
        (home.root / "config" / "settings.yaml").write_text(text)
        hooks.run_settled(home, second)
        assert Run.select().count() == left
    assert Run.get().id == second.id != first.id
