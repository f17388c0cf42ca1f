"""`--attempts N`: N starts of the program and no more, whatever ended them; a start without the program is no start."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from jarvisd import failpoints
from tests.acceptance.conftest import DEADLINE_S, House, until

#: Writes one line per start, then runs for a long time or not at all.
PROGRAM = "import sys, time; open(sys.argv[1], 'a').write('S\\n'); time.sleep(float(sys.argv[2]))"


def starts(marks: Path) -> int:
    return marks.read_text().count("S") if marks.exists() else 0


def test_a_program_is_started_as_often_as_asked_for_however_often_the_daemon_is_stopped(house: House) -> None:
    marks = house.folder / "marks"
    words = [sys.executable, "-S", "-E", "-c", PROGRAM, str(marks), "600"]
    run = house.enqueue("command", "--attempts", "2", "--", *words)
    for number in (1, 2):
        daemon = house.daemon()
        until(lambda number=number: starts(marks) == number, what=f"start {number}")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=DEADLINE_S) == 0
    house.daemon()
    (job,) = house.settled(run).values()
    assert (job["status"], starts(marks)) == ("failed", 2)
    assert job["reason"] == "interrupted: jarvisd was stopped, and it has no attempt left"


def test_a_worker_that_dies_before_its_program_costs_no_attempt(house: House) -> None:
    marks = house.folder / "marks"
    (house.folder / "once").mkdir()
    house.environment |= {failpoints.AT: "child:attempt.begun", failpoints.ONCE: str(house.folder / "once")}
    house.daemon()
    run = house.enqueue("command", "--", sys.executable, "-S", "-E", "-c", PROGRAM, str(marks), "0")
    (job,) = house.settled(run).values()
    assert (job["status"], job["attempt"], starts(marks)) == ("succeeded", 2, 1)
