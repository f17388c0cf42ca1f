"""The programs on a Mac, as far as one can be had here: launchctl, caffeinate, pmset and osascript stand in on PATH."""

from __future__ import annotations

import datetime as dt
import os
import plistlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jarvisd.plan import times
from tests.acceptance.conftest import BIN, House, until
from tests.fakes.mac import BATTERY, FakeMac

DAEMON, NIGHTLY = "org.jarvisd.daemon", "org.jarvisd.nightly"
GOLDEN = Path(__file__).parents[1] / "fixtures" / "install-dry-run.txt"


@pytest.fixture
def mac(house: House, tmp_path: Path) -> Iterator[FakeMac]:
    made = FakeMac(tmp_path / "mac")
    house.environment |= made.environment
    yield made
    house.ctl("stop", code=None)
    made.close()


def configure(house: House, name: str, text: str) -> Path:
    path = house.root / "config" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def small_night(house: House, more: str = "") -> None:
    """An `overnight` that takes a moment."""
    configure(house, "plans/overnight.yaml", f"once: nightly\ncommand:\n  - run: [echo, night]\nreport: {{}}\n{more}")


def pid(house: House) -> int | None:
    return house.status()["daemon"]["pid"]


def minutes_ago(minutes: float) -> str:
    return f"{dt.datetime.now().astimezone() - dt.timedelta(minutes=minutes):%H:%M}"


# ------------------------------------------------------------------------------------------------------- installing


def test_a_dry_run_prints_both_agents_and_every_command_and_changes_nothing(house: House) -> None:
    words = ["install", "--dry-run", "--at", "22:00", "--at", "1:30", "--weekdays", "sun,mon"]
    output = house.ctl(*words).stdout
    signs = {str(BIN): "BIN", str(house.root): "HOME", str(Path.home()): "~", f"gui/{os.getuid()}": "gui/UID"}
    signs[os.path.realpath(BIN / "python")] = "PYTHON"
    for text, sign in sorted(signs.items(), key=lambda pair: -len(pair[0])):
        output = output.replace(text, sign)
    assert output == GOLDEN.read_text()
    assert not (house.root / "var").exists()


@pytest.mark.skipif(shutil.which("plistutil") is None, reason="plistutil (libplist-utils) is not installed")
def test_another_reader_of_property_lists_reads_what_is_installed(house: House, mac: FakeMac) -> None:
    house.ctl("install", "--at", "22:00", "--weekdays", "mon,tue")
    for path in sorted((mac.user / "Library" / "LaunchAgents").iterdir()):
        binary = house.folder / path.stem
        subprocess.run(["plistutil", "-i", path, "-o", binary, "-f", "bin"], check=True, timeout=30)
        assert binary.read_bytes().startswith(b"bplist00")
        assert plistlib.loads(binary.read_bytes()) == mac.agent(path.stem)


def test_install_loads_both_agents_and_the_daemon_takes_jobs(house: House, mac: FakeMac) -> None:
    output = house.ctl("install").stdout
    assert set(mac.state()["loaded"]) == {DAEMON, NIGHTLY}
    assert "Full Disk Access" in output
    assert "sudo pmset repeat wakeorpoweron MTWRFSU 21:58:00" in output
    about = [call[1] for call in mac.calls("launchctl") if call[-1].endswith((DAEMON, f"{DAEMON}.plist"))]
    verbs = [verb for verb in about if verb != "print"]
    start = verbs.index("enable")
    assert verbs[start : start + 4] == ["enable", "bootout", "bootstrap", "kickstart"]
    assert not mac.calls("launchctl", "kickstart", f"gui/{os.getuid()}/{NIGHTLY}")
    assert not mac.calls("pmset", "repeat")
    until(lambda: pid(house), what="launchd's daemon runs")
    assert pid(house) == mac.state()["loaded"][DAEMON]["pid"]
    run_id = house.enqueue("command", "--", "echo", "hello")
    assert house.settled(run_id)["command:echo"]["status"] == "succeeded"


@pytest.mark.slow
def test_installing_twice_changes_the_time_and_keeps_one_daemon(house: House, mac: FakeMac) -> None:
    house.ctl("install")
    first = until(lambda: pid(house), what="the daemon runs")
    house.ctl("install", "--at", "23:15")
    assert mac.agent(NIGHTLY)["StartCalendarInterval"] == {"Hour": 23, "Minute": 15}
    assert until(lambda: pid(house) not in (None, first) and pid(house), what="the new daemon runs")


def test_a_busy_daemon_that_is_installed_again_stays_loaded_and_goes_on(house: House, mac: FakeMac) -> None:
    """Its job ignores the request to end, so launchd unloads the agent only many seconds after bootout has returned."""
    house.ctl("install")
    first = until(lambda: pid(house), what="the daemon runs")
    stubborn = "trap '' TERM; touch begun; while [ ! -e done ]; do sleep 0.1; done"
    run_id = house.enqueue("command", "--attempts", "3", "--cwd", str(house.folder), "--", "sh", "-c", stubborn)
    until((house.folder / "begun").exists, what="the job runs")
    house.ctl("install", "--at", "23:15", timeout_s=120)
    assert set(mac.state()["loaded"]) == {DAEMON, NIGHTLY}
    assert until(lambda: pid(house) not in (None, first) and pid(house), what="the new daemon runs")
    (house.folder / "done").touch()
    assert house.settled(run_id)["command:sh"]["status"] == "succeeded"
    assert house.jobs(run_id)["command:sh"]["attempt"] == 2


def test_error_5_while_an_older_agent_ends_is_waited_out(house: House, mac: FakeMac) -> None:
    mac.orders(busy=2)
    house.ctl("install")
    assert len(mac.calls("launchctl", "bootstrap")) == 4
    assert set(mac.state()["loaded"]) == {DAEMON, NIGHTLY}


def test_a_label_that_was_switched_off_is_switched_on_by_installing(house: House, mac: FakeMac) -> None:
    mac.disable(DAEMON)
    house.ctl("install")
    assert mac.state()["disabled"] == []


def test_over_ssh_alone_install_says_what_to_do_and_leaves_nothing(house: House, mac: FakeMac) -> None:
    mac.orders(no_session=True)
    message = house.ctl("install", code=1).stderr
    assert "Log in at the Mac itself" in message
    assert len(message.splitlines()) == 1
    assert not (mac.user / "Library").exists()


@pytest.mark.slow
def test_an_installation_that_fails_leaves_the_older_one_as_it_was(house: House, mac: FakeMac) -> None:
    house.ctl("install", "--at", "21:00")
    before = mac.agent(NIGHTLY)
    mac.disable(NIGHTLY)
    mac.orders(forbidden=[NIGHTLY])
    message = house.ctl("install", "--at", "23:00", code=1).stderr
    assert f"{NIGHTLY} is switched off" in message
    assert "Login Items" in message
    assert mac.agent(NIGHTLY) == before
    assert DAEMON in mac.state()["loaded"]


@pytest.mark.slow
def test_a_first_installation_that_fails_leaves_nothing(house: House, mac: FakeMac) -> None:
    mac.orders(refused=[NIGHTLY])
    message = house.ctl("install", code=1, timeout_s=90).stderr
    assert "everything is as it was before" in message
    assert mac.state()["loaded"] == {}
    assert list((mac.user / "Library" / "LaunchAgents").iterdir()) == []


def test_uninstall_removes_both_agents_and_says_where_the_data_is(house: House, mac: FakeMac) -> None:
    house.ctl("install")
    run_id = house.enqueue("command", "--", "echo", "hello")
    house.settled(run_id)
    output = house.ctl("uninstall").stdout
    assert str(house.root / "var") in output
    assert mac.state()["loaded"] == {}
    assert house.run(run_id)["state"] == "settled"
    assert "Nothing was installed" in house.ctl("uninstall").stdout


def test_elsewhere_than_on_a_mac_install_says_what_there_is_instead(house: House) -> None:
    message = house.ctl("install", code=1).stderr
    assert "launchd exists only on macOS" in message
    assert "jarvisctl start" in message


# ----------------------------------------------------------------------------------------------- starting and stopping


def test_start_and_stop_go_through_launchd_where_it_is_installed(house: House, mac: FakeMac) -> None:
    house.ctl("install")
    until(lambda: pid(house), what="the daemon runs")
    assert house.ctl("stop").stdout == "Stopped.\n"
    assert pid(house) is None
    house.ctl("start")
    assert pid(house) == mac.state()["loaded"][DAEMON]["pid"]
    house.ctl("restart")
    assert pid(house) == mac.state()["loaded"][DAEMON]["pid"]


def test_launchds_daemon_waits_for_one_started_by_hand_and_takes_over(house: House, mac: FakeMac) -> None:
    by_hand = house.daemon()
    assert f"(pid {by_hand.pid})" in house.ctl("install").stdout
    waiting = mac.state()["loaded"][DAEMON]["pid"]
    assert psutil.pid_exists(waiting)
    by_hand.send_signal(signal.SIGTERM)
    until(lambda: pid(house) == waiting, what="the waiting daemon takes over")


@pytest.mark.slow
def test_stop_ends_a_waiting_daemon_too(house: House, mac: FakeMac) -> None:
    house.daemon()
    house.ctl("install")
    waiting = psutil.Process(mac.state()["loaded"][DAEMON]["pid"])
    house.ctl("stop")
    until(
        lambda: not waiting.is_running() or waiting.status() == psutil.STATUS_ZOMBIE, what="the waiting one has ended"
    )
    assert pid(house) is None


def test_with_an_invalid_configuration_the_daemon_says_so_once_and_waits_for_it_to_be_mended(
    house: House, mac: FakeMac
) -> None:
    path = configure(house, "settings.yaml", "memory: {margin: 3}\n")
    house.ctl("install")
    log = house.root / "var" / "logs" / "jarvisd.log"
    until(lambda: log.exists() and "cannot start yet" in log.read_text(), what="it is said")
    daemon = psutil.Process(mac.state()["loaded"][DAEMON]["pid"])
    assert "waits for a valid configuration: " in house.ctl("status").stdout
    path.write_text("memory: {margin_mb: 600}\n")
    until(lambda: (house.root / "var" / "jarvisd.ready").exists(), what="it starts")
    assert daemon.is_running()
    assert log.read_text().count("cannot start yet") == 1
    assert "settings.yaml:1: memory.margin: unknown key" in log.read_text()


# --------------------------------------------------------------------------------------------------- the nightly start


def test_the_nightly_start_submits_once_starts_the_daemon_and_ends_a_forgotten_pause(
    house: House, mac: FakeMac
) -> None:
    small_night(house)
    house.ctl("install", "--at", minutes_ago(2))
    until(lambda: pid(house), what="the daemon runs")
    house.ctl("stop")
    house.ctl("pause")
    first, second = mac.fire(NIGHTLY), mac.fire(NIGHTLY)
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert "ends that pause" in first.stderr
    assert "submitted before" in second.stderr
    assert set(house.settled(first.stdout.strip())) == {"command:echo", "report"}
    assert pid(house) == mac.state()["loaded"][DAEMON]["pid"]


@pytest.mark.parametrize("late", ["", "late: 120\n"])
def test_a_start_that_is_too_late_submits_nothing_and_says_so(house: House, mac: FakeMac, late: str) -> None:
    small_night(house, late)
    house.ctl("install", "--at", minutes_ago(3 * 60))
    done = mac.fire(NIGHTLY)
    assert done.returncode == 0
    assert done.stdout == ""
    assert "Nothing was submitted" in done.stderr
    assert "3 h 0" in done.stderr
    assert house.status()["runs"] == []
    assert "was skipped" in house.ctl("status").stdout
    assert "Nothing was submitted" in mac.calls("osascript")[-1][-1]


@pytest.mark.parametrize("late", ["late: run\n", "late: 300\n"])
def test_a_late_start_that_may_run_belongs_to_the_night_before_and_says_that_it_is_late(
    house: House, mac: FakeMac, late: str
) -> None:
    small_night(house, late)
    house.ctl("install", "--at", minutes_ago(3 * 60))
    done = mac.fire(NIGHTLY)
    due = dt.datetime.now().astimezone() - dt.timedelta(hours=3)
    assert done.stdout.startswith(times.date_of(due))
    assert "3 h 0" in done.stderr
    assert "the computer slept" in house.run(done.stdout.strip())["warnings"][0]


def test_a_whole_night_keeps_the_mac_awake_exactly_while_it_works_and_then_notifies(house: House, mac: FakeMac) -> None:
    configure(
        house,
        "plans/overnight.yaml",
        "title: A \"night\"\nonce: nightly\ncommand:\n  - run: [sleep, '1']\n  - run: [echo, two]\nreport: {}\n",
    )
    house.ctl("install", "--at", minutes_ago(1))
    until(lambda: pid(house), what="the daemon runs")
    run_id = mac.fire(NIGHTLY).stdout.strip()
    house.settled(run_id)
    until(lambda: mac.calls("caffeinate ends"), what="it is let go")
    assert mac.calls("caffeinate") == [["caffeinate", "-i", "-w", str(pid(house))]]
    notification = mac.calls("osascript")[-1]
    assert notification[-1] == f"{run_id}: 2 of 2 jobs succeeded. The report is ready: jarvisctl report --open"
    assert not any(run_id in word for word in notification[:-1])


@pytest.mark.slow
def test_while_paused_or_waiting_for_power_the_mac_may_sleep(house: House, mac: FakeMac) -> None:
    configure(house, "settings.yaml", "power: {on_battery: wait}\nmemory: {look_every_s: 0.5}\n")
    mac.answer("pmset -g batt", BATTERY.format(60))
    house.ctl("pause")
    run_id = house.enqueue("command", "--", "echo", "hello")
    house.ctl("start")
    assert house.run(run_id)["state"] == "queued"
    house.ctl("resume")
    until(
        lambda: "on battery, which holds 60 %" in (house.jobs(run_id)["command:echo"]["reason"] or ""), what="it waits"
    )
    assert not mac.calls("caffeinate")
    mac.answers()
    assert house.settled(run_id)["command:echo"]["status"] == "succeeded"
    assert len(mac.calls("caffeinate")) == 1


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        ("on_battery: skip", "skipped"),
        ("on_battery: wait, wait_minutes: 0.02", "skipped"),
        ("on_battery: skip, below_percent: 50", "succeeded"),
        ("on_battery: run", "succeeded"),
    ],
)
def test_on_battery_the_policy_decides_and_the_report_comes_anyway(
    house: House, mac: FakeMac, policy: str, status: str
) -> None:
    configure(house, "settings.yaml", f"power: {{{policy}}}\nmemory: {{look_every_s: 0.5}}\n")
    small_night(house)
    mac.answer("pmset -g batt", BATTERY.format(60))
    run_id = house.enqueue("overnight", "--start")
    jobs = house.settled(run_id)
    assert jobs["command:echo"]["status"] == status
    assert jobs["report"]["status"] == "succeeded"
    assert (status == "skipped") == ("on battery, which holds 60 %" in (jobs["command:echo"]["reason"] or ""))


# ------------------------------------------------------------------------------------------------------------ on demand


def test_on_demand_a_job_starts_the_daemon_and_it_ends_when_no_job_is_pending(house: House) -> None:
    configure(house, "settings.yaml", "daemon: on-demand\nidle_minutes: 0.02\n")
    assert "idle" in house.ctl("status").stdout
    for _ in range(2):
        run_id = house.enqueue("command", "--", "echo", "hello")
        assert house.settled(run_id)["command:echo"]["status"] == "succeeded"
        until(lambda: pid(house) is None, what="the daemon has ended by itself")
    assert "it ends" in (house.root / "var" / "logs" / "jarvisd.log").read_text()
    assert "idle" in house.ctl("status").stdout


def test_on_demand_the_end_of_a_pause_starts_the_daemon_for_what_waits(house: House) -> None:
    configure(house, "settings.yaml", "daemon: on-demand\nidle_minutes: 0.02\n")
    house.ctl("pause")
    run_id = house.enqueue("command", "--", "true")
    house.ctl("stop")
    house.ctl("resume")
    assert house.settled(run_id, 30)["command:true"]["status"] == "succeeded"


def test_on_demand_a_retry_starts_the_daemon(house: House) -> None:
    configure(house, "settings.yaml", "daemon: on-demand\nidle_minutes: 0.02\n")
    run_id = house.enqueue("command", "--", "false")
    assert house.settled(run_id, 30)["command:false"]["attempt"] == 1
    until(lambda: pid(house) is None, what="the daemon has ended by itself")
    house.ctl("retry", run_id)
    assert house.settled(run_id, 30)["command:false"]["attempt"] == 2


@pytest.mark.slow
def test_on_demand_a_job_that_comes_while_the_daemon_ends_is_still_done(house: House) -> None:
    """Submissions at about the moment of ending, again and again: none waits for the next poll."""
    configure(house, "settings.yaml", "daemon: on-demand\nidle_minutes: 0.005\n")
    for _ in range(6):
        run_id = house.enqueue("command", "--", "true")
        assert house.settled(run_id, 30)["command:true"]["status"] == "succeeded"


def test_on_demand_launchd_starts_the_daemon_where_it_is_installed(house: House, mac: FakeMac) -> None:
    configure(house, "settings.yaml", "daemon: on-demand\nidle_minutes: 0.02\n")
    house.ctl("install")
    log = house.root / "var" / "logs" / "jarvisd.log"
    until(lambda: log.exists() and "it ends" in log.read_text(), what="it idled")
    until(lambda: pid(house) is None, what="it has ended")
    before = len(mac.calls("launchctl", "kickstart"))
    run_id = house.enqueue("command", "--", "echo", "hello")
    assert house.settled(run_id)["command:echo"]["status"] == "succeeded"
    assert len(mac.calls("launchctl", "kickstart")) > before
    until(lambda: "idle" in house.ctl("status").stdout, what="status says that it sleeps")
