"""Two Macs, as two homes on one computer, and one PostgreSQL: what one of them ran is read on the other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jarvisd.host import lockfile
from jarvisd.paths import Home
from tests.acceptance.conftest import ROOT, House, until
from tests.postgres import Cluster, name_of

#: No pause that a test would have to wait for.
QUICK = "restart: {first_pause_s: 0, next_pause_s: 0}\nnotification: false\n"


@pytest.fixture
def server(cluster: Cluster) -> Iterator[str]:
    """The address of an empty database."""
    url = cluster.create()
    yield url
    cluster.drop(url)


@pytest.fixture
def mac(server: str, tmp_path: Path) -> Iterator[Callable[[str], House]]:
    """A home of its own, as a Mac with that name has it."""
    made: list[House] = []

    def make(name: str) -> House:
        folder = tmp_path / f"elsewhere-{name}"
        folder.mkdir()
        house = House(tmp_path / name, folder)
        plans = house.root / "config" / "plans"
        plans.mkdir(parents=True)
        section = json.dumps({"jobs": 2, "pieces": 3})
        (plans / "night.yaml").write_text(f"pieces: {section}\nreport: {{}}\n")
        (plans.parent / "settings.yaml").write_text(f'database: "{server}"\nmachine: {name}\n{QUICK}')
        packages = [str(ROOT / "tests" / "packages"), os.environ.get("PYTHONPATH", "")]
        house.environment["PYTHONPATH"] = os.pathsep.join(filter(None, packages))
        made.append(house)
        return house

    yield make
    for house in made:
        house.close()


Mac = Callable[[str], House]


def lines_of(report: str) -> list[str]:
    """The lines of a REPORT.md, but the one that holds the folder of the Mac that wrote it."""
    return [line for line in report.splitlines() if "Files and log: " not in line]


def without_times(log: str) -> list[str]:
    """The lines of a run log, in any order: a child and its daemon write at the same time, by two clocks."""
    return sorted(line.partition(" ")[2] for line in log.splitlines())


def test_what_one_mac_ran_is_read_on_the_other(mac: Mac) -> None:
    mini, macbook = mac("mini"), mac("MacBook")
    mini.daemon(), macbook.daemon()
    run = mini.enqueue("night")
    jobs = mini.settled(run)
    assert {job["status"] for job in jobs.values()} == {"succeeded"}
    assert not (macbook.root / "var" / "results" / run).exists()

    written = mini.root / "var" / "results" / run
    report = macbook.ctl("report", run).stdout
    assert lines_of(report) == lines_of((written / "REPORT.md").read_text())
    page = Path(macbook.ctl("report", run, "--path").stdout.strip())
    assert page.is_relative_to(macbook.root) and page.is_file()

    lines = macbook.ctl("logs", run).stdout
    assert without_times(lines) == without_times((written / "experiment.log").read_text())
    assert len(lines.splitlines()) > 6
    assert macbook.ctl("logs", run, "-n", "2").stdout.splitlines() == lines.splitlines()[-2:]
    assert macbook.ctl("logs", run, "-f").stdout == lines

    number = jobs["pieces:1"]["id"]
    refused = macbook.ctl("logs", str(number), code=1).stderr
    assert f"its log is on mini: var/logs/job-{number}.log" in refused
    assert len(refused.splitlines()) == 1
    assert mini.ctl("logs", str(number)).returncode == 0


def logged(house: House, words: str) -> int:
    """How many lines of jarvisd.log hold these words."""
    log = house.root / "var" / "logs" / "jarvisd.log"
    return sum(words in line for line in log.read_text().splitlines())


def test_a_job_outlasts_a_server_that_is_down(mac: Mac, server: str, cluster: Cluster, tmp_path: Path) -> None:
    """The daemon goes on, the job is not started again, and a verb says in one line that nothing was stored."""
    mini = mac("mini")
    daemon = mini.daemon()
    go_on = tmp_path / "go-on"
    run = mini.enqueue("command", "--", "sh", "-c", f"until [ -e {go_on} ]; do sleep 0.1; done")
    until(lambda: "running" in {job["status"] for job in mini.jobs(run).values()}, what="it runs")
    stored = cluster.sql("SELECT count(*) FROM job", name_of(server))
    cluster.ctl("-m", "fast", "stop")
    try:
        until(lambda: logged(mini, "is out of reach"), what="the daemon notices it")
        for words in (
            ("enqueue", "command", "--", "true"),
            ("status",),
            ("status", "--json"),
            ("cancel", "1"),
            ("report", run),
        ):
            refused = mini.ctl(*words, code=1)
            assert refused.stderr.startswith("jarvisctl: the database on this computer is out of reach.")
            assert (refused.stdout, len(refused.stderr.splitlines())) == ("", 1)
        go_on.touch()
        until(lambda: not child_runs_program(mini, go_on), what="the program ends")
    finally:
        cluster.ctl("-l", str(cluster.folder / "log"), "restart")
    (job,) = mini.settled(run).values()
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert cluster.sql("SELECT count(*) FROM job", name_of(server)) == stored
    assert daemon.poll() is None
    until(lambda: logged(mini, "answers again"), what="the daemon is back")
    assert (logged(mini, "is out of reach"), logged(mini, "answers again")) == (1, 1)
    assert logged(mini, "ERROR") == 0
    assert mini.settled(mini.enqueue("command", "--", "true"))["command:true"]["status"] == "succeeded"


def child_runs_program(house: House, go_on: Path) -> bool:
    import psutil

    return any(str(go_on) in word for each in psutil.process_iter(["cmdline"]) for word in each.info["cmdline"] or [])


def test_a_daemon_that_starts_before_its_server_waits_for_it(mac: Mac, cluster: Cluster) -> None:
    mini = mac("mini")
    cluster.ctl("-m", "fast", "stop")
    try:
        daemon = mini.launch()
        home = Home(mini.root, "--home")
        until(lambda: lockfile.lock_holder(home), what="it holds its lock")
        until(lambda: logged(mini, "is out of reach"), what="it says why it waits")
        assert daemon.poll() is None
    finally:
        cluster.ctl("-l", str(cluster.folder / "log"), "restart")
    until(home.ready.exists, what="it takes jobs")
    assert mini.settled(mini.enqueue("command", "--", "true"))["command:true"]["status"] == "succeeded"


@pytest.mark.slow
def test_a_whole_demonstration_is_mined_on_one_mac_and_its_report_rendered_on_the_other(
    mac: Mac, small_models: Path
) -> None:
    """The demonstration's messages, models, replies and scores: `report`, its page and its files, from the database."""
    mini, macbook = mac("mini"), mac("MacBook")
    var = mini.root / "var"
    var.mkdir(mode=0o700, parents=True)
    (var / "cache").symlink_to(ROOT / "var" / "cache")  # the models and messages of the demonstration
    mini.daemon(), macbook.daemon()
    done = mini.ctl("demo", timeout_s=3000)
    assert "from 23,661 messages" in done.stdout
    run = mini.status("latest")["runs"][0]["id"]
    assert {job["status"] for job in mini.jobs(run).values()} == {"succeeded"}
    on_mini, on_macbook = (house.root / "var" / "results" / run for house in (mini, macbook))
    assert not on_macbook.exists()

    macbook.ctl("report", run)
    compared = ("templates.json", "mlx_comparison_results.json")
    for name in compared:
        assert json.loads((on_macbook / name).read_text()) == json.loads((on_mini / name).read_text()), name
    names = sorted(path.name for path in on_mini.iterdir() if path.suffix in (".md", ".html", ".json", ".csv", ".svg"))
    assert sorted(path.name for path in on_macbook.iterdir()) == names
    assert lines_of((on_macbook / "REPORT.md").read_text()) == lines_of((on_mini / "REPORT.md").read_text())
    lines = without_times(macbook.ctl("logs", run).stdout)
    assert lines == without_times((on_mini / "experiment.log").read_text())
