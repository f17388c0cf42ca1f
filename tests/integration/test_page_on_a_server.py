"""The page of a home whose queue is on a PostgreSQL server that two machines share: its own process, its screens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from jarvisd.host import machine
from jarvisd.paths import Home
from jarvisd.registry import JobSpec
from jarvisd.store import database, run_lines
from jarvisd.store.models import Job, Machine, Status
from jarvisd.web import process
from jobs.lib.results.tables import Vote
from tests import morning_rows
from tests.acceptance.conftest import until
from tests.claiming import finish
from tests.fleets import SubmitSpecs, fall_silent, join, won_by
from tests.postgres import Cluster
from tests.web_client import Client, log_in

pytestmark = pytest.mark.parametrize("home", ["postgres"], indirect=True)


@pytest.fixture
def here(home: Home) -> str:
    """The id of this machine; "mini" is another one."""
    Machine.delete().execute()
    join("mini")
    own = join(machine.identity(home))
    Machine.update(name="MacBook").where(Machine.id == own).execute()
    return own


@pytest.fixture
def page(home: Home, here: str) -> Iterator[Client]:
    with subprocess.Popen([sys.executable, "-m", "jarvisd.web", "--home", str(home.root)]) as started:
        yield log_in(home, until(lambda: process.running(home)))
        started.terminate()


def confirmed(page: Client, path: str, **fields: str) -> None:
    """Send a form, and answer its question with yes."""
    connection = page.connect()
    own = {"Origin": f"http://127.0.0.1:{page.page.port}", "Sec-Fetch-Site": "same-origin", "Cookie": page.cookie}
    connection.request("POST", f"{page.root}/{path}", urlencode(fields), own)
    (seal,) = re.findall(r'name="seen" value="(\w+)"', connection.getresponse().read().decode())
    connection.close()
    assert page.post(path, {**fields, "seen": seal}) == 303


def test_tonight_shows_what_each_machine_does(page: Client, here: str, submit_specs: SubmitSpecs, home: Home) -> None:
    """Of a job of another machine neither memory nor log: its process id is one of other programs here."""
    submit_specs(JobSpec(name="command:far"), on="mini")
    far = won_by("mini")
    Job.update(pid=os.getpid(), done=3, total=12).execute()
    home.job_log(far.id).write_text("of another job\n")
    text = page.text("tonight")
    assert f"mini: working on {far.id} command:far." in text and "MacBook: idle." in text
    assert 'id="memory">on mini<' in text and "MB of at most" not in text
    assert f"The log is on mini: var/logs/job-{far.id}.log" in text and "of another job" not in text
    assert f"on mini: var/logs/job-{far.id}.log" in page.text(f"log/job/{far.id}")
    submit_specs(JobSpec(name="command:near"), on=here)
    near = won_by(here)
    assert f'id="now">{near.id} command:near<' in page.text("tonight")
    fall_silent("mini", 5)
    assert re.search(r"mini: silent since \d\d:\d\d\.", page.text("tonight"))


def test_cancel_retry_and_pause_act_on_the_shared_queue(page: Client, here: str, submit_specs: SubmitSpecs) -> None:
    """A pause is this machine's alone."""
    run = submit_specs(JobSpec(name="command:far"), JobSpec(name="command:near"), on="mini")
    confirmed(page, "act/cancel", target="1", back="tonight")
    assert [job.status for job in Job.select().order_by(Job.id)] == [Status.CANCELLED, Status.QUEUED]
    confirmed(page, "act/retry", target="1")
    assert Job.get_by_id(1).status == Status.QUEUED
    running = won_by("mini")
    confirmed(page, "act/cancel", target=run.id)
    assert (Job.get_by_id(running.id).status, Job.get_by_id(running.id).cancel_requested) == (Status.RUNNING, True)
    confirmed(page, "act/pause", **{"for": "1h"})
    paused = [row.id for row in Machine.select().where(Machine.paused_since.is_null(False))]
    assert paused == [here]
    assert re.search(r"MacBook: paused until \d\d:\d\d\.", page.text("tonight"))
    confirmed(page, "act/resume")
    assert "MacBook: idle." in page.text("tonight")


def test_a_run_of_another_machine_has_its_screens(page: Client, submit_specs: SubmitSpecs) -> None:
    """Its log was written there."""
    run = submit_specs(JobSpec(name="command:far"), on="mini")
    finish(won_by("mini"))
    run_lines.add(run.id, "command:far: said there", database.now())
    for path in (f"history/run/{run.id}", "history", "queue", "queue?state=succeeded"):
        assert "command:far" in page.text(path) or run.id in page.text(path)
    assert "said there" in page.text(f"log/run/{run.id}")


def test_a_poll_answers_after_a_change_by_another_machine(page: Client, submit_specs: SubmitSpecs) -> None:
    submit_specs(JobSpec(name="command:far"), on="mini")
    page.text("tonight")
    code, tag, _ = page.get("tonight/live")
    assert (code, page.get("tonight/live", tag)[0]) == (200, 304)
    won_by("mini")
    code, _, content = page.get("tonight/live", tag)
    assert (code, json.loads(content)["texts"]["state-1"]) == (200, "running")


def test_votes_are_stored_and_the_names_shown(page: Client) -> None:
    run = morning_rows.morning()
    Job.delete().where(Job.is_report).execute()  # to write it takes seconds
    assert run.id in page.text("vote")
    page.post("vote/begin", {"run": run.id})
    (pair,) = re.findall(r'name="pair" value="([\d-]+)"', page.text("vote"))
    page.post("vote/answer", {"pair": pair, "choice": "left"})
    assert "2 of at most 15." in page.text("vote")
    page.post("vote/end", {})
    assert "1 vote stored" in page.text("vote/names")
    (row,) = Vote.select()
    assert (f"{row.left_id}-{row.right_id}", row.choice) == (pair, "left")


def test_a_server_out_of_reach_is_said_and_the_page_goes_on(
    page: Client, submit_specs: SubmitSpecs, cluster: Cluster
) -> None:
    submit_specs(JobSpec(name="command:far"), on="mini")
    page.text("tonight")
    database.disconnect()
    cluster.ctl("-m", "fast", "stop")
    try:
        code, _, content = page.get("tonight")
        assert (code, b"the database on this computer is out of reach" in content) == (503, True)
        assert page.get("tonight/live")[0] == 503
    finally:
        cluster.ctl("-l", str(cluster.folder / "log"), "restart")
    assert "command:far" in page.text("tonight")
