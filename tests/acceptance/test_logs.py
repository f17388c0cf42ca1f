"""`logs`: how a job ended, why it is silent, the log of a run, and when lines were written."""

from __future__ import annotations

import datetime as dt
import stat
import time

import pytest

from tests.acceptance.conftest import House, until

STAMP = len("2026-11-27T22:00:03+01:00 ")


def test_the_log_of_a_failed_job_ends_with_its_outcome(house: House) -> None:
    run_id = house.enqueue("command", "--", "sh", "-c", "echo said; exit 3")
    house.daemon()
    house.settled(run_id)
    shown = house.ctl("logs", "1")
    assert (shown.stdout, shown.stderr) == ("said\n", "command:sh failed: exit status 3\n")
    followed = house.ctl("logs", "-f", "1", code=1)
    assert (followed.stdout, followed.stderr) == (shown.stdout, shown.stderr)


@pytest.mark.slow
def test_a_silent_job_is_said_to_be_silent(house: House) -> None:
    house.daemon()
    for program in ("false", "no-such-program", "true"):
        house.settled(house.enqueue("command", "--", program))
    assert house.ctl("logs", "1").stderr == "command:false printed nothing.\ncommand:false failed: exit status 1\n"
    missing = house.ctl("logs", "2").stderr
    assert "command:no-such-program failed: " in missing
    assert "no-such-program" in missing.splitlines()[-1]
    assert house.ctl("logs", "-f", "3").stderr.startswith(
        "command:true printed nothing.\ncommand:true succeeded after "
    )
    run_id = house.enqueue("command", "--name", "quiet", "--", "sleep", "600")
    until(lambda: house.jobs(run_id)["command:quiet"]["status"] == "running", what="it runs")
    until(lambda: (house.root / "var" / "logs" / "job-4.log").exists(), what="it has a log")
    running = house.ctl("logs").stderr.splitlines()
    assert running[0].startswith("command:quiet has printed nothing yet. A program may keep back what it prints")
    assert running[1].endswith("`jarvisctl logs -f 4` follows it.")


def test_the_log_of_a_run_is_its_run_log(house: House) -> None:
    run_id = house.enqueue("command", "--", "false")
    assert "has no log. None of its jobs has started" in house.ctl("logs", run_id, code=2).stderr
    house.daemon()
    shown = house.ctl("logs", run_id, "-f", code=1)
    assert shown.stdout == (house.root / "var" / "results" / run_id / "experiment.log").read_text()
    assert shown.stderr == f"{run_id}: failed, 0 of 1 job finished, 1 failed.\n"
    assert house.ctl("logs", run_id, "-n", "1").stdout.count("\n") == 1


def test_lines_of_a_program_have_times_and_can_be_chosen_by_them(house: House) -> None:
    house.daemon()
    gate = house.root / "gate"
    script = f"echo first; while [ ! -e {gate} ]; do sleep 0.05; done; echo second; printf third"
    run_id = house.enqueue("command", "--name", "talk", "--", "sh", "-c", script)
    times = house.root / "var" / "logs" / "job-1.times"
    until(times.exists, what="the time of the first line is noted")
    between = dt.datetime.now().astimezone() + dt.timedelta(milliseconds=20)
    time.sleep(0.05)
    gate.touch()
    house.settled(run_id)
    stamped = house.ctl("logs", "talk", "--timestamps").stdout.splitlines()
    assert [line[STAMP:] for line in stamped] == ["first", "second", "third"]
    moments = [dt.datetime.fromisoformat(line[: STAMP - 1]) for line in stamped]
    assert moments == sorted(moments)
    assert house.ctl("logs", "talk", "--since", between.isoformat()).stdout == "second\nthird"
    assert house.ctl("logs", "talk", "--since", "1h").stdout == "first\nsecond\nthird"
    assert house.ctl("logs", "talk", "--since", "1h", "-n", "1").stdout == "third"
    assert house.ctl("logs", run_id, "--since", "1h", "--timestamps").stdout == house.ctl("logs", run_id).stdout
    assert stat.S_IMODE(times.stat().st_mode) == 0o600
    house.ctl("prune", "--keep", "0", "--yes")
    assert not times.exists()


@pytest.mark.parametrize("text", ["soon", "", "25:00", "10x", "2026-13-01"])
def test_a_wrong_since_is_refused_in_one_line(house: House, text: str) -> None:
    house.enqueue("command", "--", "true")
    refused = house.ctl("logs", "1", "--since", text, code=2)
    assert refused.stderr.count("\n") == 1
    assert f"--since: {text!r} is not a time. Write 10m" in refused.stderr
