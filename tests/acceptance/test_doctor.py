"""`doctor`, `init`, and what a newcomer is told."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import BIN, House, until
from tests.chatdb import ChatDB
from tests.fakes.mac import BATTERY, FakeMac

DAEMON = "org.jarvisd.daemon"


@pytest.fixture
def mac(house: House, tmp_path: Path) -> Iterator[FakeMac]:
    made = FakeMac(tmp_path / "mac")
    house.environment |= made.environment
    yield made
    house.ctl("stop", code=None)
    made.close()


def small_night(house: House, text: str = "command:\n  - run: [echo, night]\nreport: {}\n") -> None:
    path = house.root / "config" / "plans" / "overnight.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def doctor(house: House, code: int | None = None) -> dict[str, dict[str, Any]]:
    """The checks by name; of several with one name the last."""
    document = json.loads(house.ctl("doctor", "--json", code=code, timeout_s=90).stdout)
    assert document["ok"] == all(check["state"] != "problem" for check in document["checks"])
    return {check["name"]: check for check in document["checks"]}


def messages(path: Path, count: int) -> Path:
    database = ChatDB(path)
    chat = database.direct("+15550001")
    for _ in range(count):
        database.add("on my way", chat=chat, from_me=True)
    return database.close()


def test_all_is_well_where_nothing_is_missing(house: House) -> None:
    small_night(house)
    house.ctl("start")
    checks = doctor(house, code=0)
    assert {check["state"] for check in checks.values()} == {"ok"}
    everywhere = {"python", "configuration", "memory", "disk", "sqlite", "daemon", "clock", "jobs", "last night"}
    assert everywhere <= set(checks)
    assert checks["jobs"]["what"] == "command:echo, report: nothing is missing"


def test_what_is_missing_is_a_problem_with_a_remedy_and_the_exit_code_says_so(house: House, tmp_path: Path) -> None:
    house.environment["HF_HOME"] = str(tmp_path / "hf")
    output = house.ctl("doctor", code=1, timeout_s=90).stdout
    assert output.endswith("\n2 problems, 1 warning.\n")
    checks = doctor(house, code=1)
    assert checks["messages"]["state"] == "problem"
    assert checks["daemon"]["state"] == "warning"
    for check in checks.values():
        assert check["state"] == "ok" or check["remedy"]
        assert f"{check['name']}: " in output
        assert check["remedy"] in output


def test_all_models_that_are_missing_are_one_problem_with_one_remedy(house: House, tmp_path: Path) -> None:
    """The shipped night: eight models, of which two jobs need one."""
    house.environment["HF_HOME"] = str(tmp_path / "hf")
    check = doctor(house, code=1)["models"]
    assert check["what"].startswith("0 of 8 on this disk; missing: all-mpnet-base-v2, all-minilm-l6-v2, ")
    assert check["what"].endswith("; how long is not known: no download was measured yet")
    assert check["remedy"] == "`jarvisctl models fetch --only overnight` fetches them, by day."
    figures = check["figures"]
    assert len(figures["missing"]) == len(set(figures["missing"])) == 8
    assert figures["bytes"] == 12_965_770_425
    assert (figures["bytes_per_second"], figures["seconds"]) == (None, None)
    has_room = shutil.disk_usage(tmp_path).free > figures["bytes"] + 1024 * 2**20  # disk.keep_free_mb
    assert (figures["disk_lacking_bytes"] == 0) == has_room
    assert ("; 13.0 GB to fetch, which leaves " if has_room else "; 13.0 GB to fetch, for which ") in check["what"]


def test_models_for_which_there_is_no_room_are_told_what_to_free(house: House, tmp_path: Path) -> None:
    house.environment["HF_HOME"] = str(tmp_path / "hf")
    settings = house.root / "config" / "settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("disk: {keep_free_mb: 100000000}\n")
    check = doctor(house, code=1)["models"]
    lacking = check["figures"]["disk_lacking_bytes"]
    assert f"for which {lacking / 1e9:.1f} GB of disk are lacking (104857.6 GB are kept free)" in check["what"]
    assert check["remedy"].startswith(f"Free {lacking / 1e9:.1f} GB, or name fewer models in the plan; then `jarvisctl")


def test_a_configuration_that_is_wrong_is_named_with_its_line_and_hides_no_other_check(house: House) -> None:
    small_night(house, "title: x\nreport: {}\nuntill: 7\n")
    checks = doctor(house, code=1)
    assert "overnight.yaml:3: untill: unknown key" in checks["configuration"]["what"]
    assert checks["sqlite"]["state"] == "ok"


def test_a_line_that_is_wrong_without_a_remedy_of_its_own_is_to_be_mended(house: House) -> None:
    small_night(house, "late: [1]\nreport: {}\n")
    check = doctor(house, code=1)["configuration"]
    assert check["what"].endswith("overnight.yaml:1: late: must be skip or run, or a whole number")
    assert check["remedy"] == "Correct that line."


def test_a_shipped_plan_that_is_not_tonights_need_not_fit_the_owners_models(house: House) -> None:
    small_night(house)
    (house.root / "config" / "models.yaml").write_text("models: [{key: mine, name: Mine, path: here}]\n")
    checks = doctor(house, code=0)
    assert checks["configuration"]["what"] == "settings.yaml, overnight.yaml are in order"
    assert checks["models"]["what"] == "overnight names none"


def test_a_night_that_went_wrong_is_remembered(house: House) -> None:
    small_night(house, "command:\n  - run: ['false']\nreport: {}\n")
    run_id = house.enqueue("overnight", "--start")
    house.settled(run_id)
    checks = doctor(house, code=0)
    assert "1 of 2 jobs failed or were skipped: command:false" in checks["last night"]["what"]


def test_on_a_mac_in_order_every_check_is_ok(house: House, mac: FakeMac) -> None:
    small_night(house)
    house.ctl("install")
    until(lambda: (house.root / "var" / "jarvisd.ready").exists(), what="the daemon is up")
    checks = doctor(house, code=0)
    assert {name for name, check in checks.items() if check["state"] != "ok"} == set()
    assert checks["macOS"]["what"] == "version 15.5"
    assert "22:00, and the Mac wakes for it" in checks["next start"]["what"]
    assert "Next start: " in house.ctl("status").stdout


def test_a_mac_that_is_not_set_up_is_told_what_to_do(house: House, mac: FakeMac) -> None:
    small_night(house)
    mac.answers(
        **{"pmset -g sched": "", "pmset -g batt": BATTERY.format(40), "sysctl -n hw.optional.arm64": ""},
        **{"sw_vers -productVersion": "13.6\n"},
    )
    checks = doctor(house, code=1)
    assert "jarvisctl install" in checks["launchd"]["remedy"]
    assert checks["processor"]["state"] == checks["macOS"]["state"] == "problem"
    assert "battery 40 %" in checks["power"]["what"]
    assert "not installed" in house.ctl("status").stdout


def test_a_mac_that_may_sleep_at_the_time_is_told_the_command_that_wakes_it(house: House, mac: FakeMac) -> None:
    small_night(house)
    mac.answer("pmset -g sched", "Repeating power events:\n  wakepoweron at 7:00AM every day\n")
    house.ctl("install", "--at", "22:00", "--weekdays", "fri")
    checks = doctor(house)
    assert checks["next start"]["state"] == "warning"
    assert "sudo pmset repeat wakeorpoweron F 21:58:00" in checks["next start"]["remedy"]


def test_an_agent_that_is_not_as_it_should_be_is_found_by_doctor_and_status(house: House, mac: FakeMac) -> None:
    small_night(house)
    house.ctl("install")
    path = mac.user / "Library" / "LaunchAgents" / f"{DAEMON}.plist"
    path.write_text(path.read_text().replace("<integer>30</integer>", "<integer>20</integer>"))
    check = doctor(house, code=1)["launchd"]
    assert "is not what this version would install" in check["what"]
    assert "jarvisctl install" in check["remedy"]
    assert check["what"] in house.ctl("status").stdout


def test_messages_are_looked_at_by_launchd_itself_and_counted(house: House, mac: FakeMac) -> None:
    database = messages(house.folder / "chat.db", 1234)
    small_night(house, f"messages: {database}\nmine: {{}}\nreport: {{}}\n")
    checks = doctor(house)
    assert checks["messages"]["what"] == f"{database} holds 1,234 messages"
    assert "org.jarvisd.probe" in mac.calls("launchctl", "bootstrap")[-1][-1]
    assert mac.state()["loaded"] == {}
    assert not list((house.root / "var").glob("*probe*"))


def test_where_launchd_may_not_read_messages_the_very_binary_is_named(house: House, mac: FakeMac) -> None:
    database = house.folder / "chat.db"
    database.write_text("nothing that can be read")
    small_night(house, f"messages: {database}\nmine: {{}}\nreport: {{}}\n")
    checks = doctor(house, code=1)
    assert os.path.realpath(BIN / "python") in checks["messages"]["remedy"]
    assert "Full Disk Access" in checks["messages"]["remedy"]


def test_a_database_that_is_not_there_is_told_in_the_words_of_a_submission(house: House) -> None:
    database = house.folder / "none.db"
    small_night(house, f"messages: {database}\nmine: {{}}\nreport: {{}}\n")
    message = f"there is no Messages database at {database}"
    assert doctor(house, code=1)["messages"]["what"] == message
    assert message in house.ctl("enqueue", "overnight").stderr


def test_over_ssh_alone_the_look_at_messages_says_that_it_proves_little(house: House, mac: FakeMac) -> None:
    database = messages(house.folder / "chat.db", 5)
    small_night(house, f"messages: {database}\nmine: {{}}\nreport: {{}}\n")
    mac.orders(no_session=True)
    assert doctor(house)["messages"]["state"] == "warning"


# ------------------------------------------------------------------------------------------- a newcomer's first steps


def test_without_a_verb_a_newcomer_is_told_in_five_lines_what_to_do(house: House) -> None:
    lines = house.ctl().stdout.splitlines()
    assert len(lines) == 5
    for verb in ("demo", "init", "doctor", "enqueue", "report"):
        assert any(f"jarvisctl {verb}" in line for line in lines)
    house.enqueue("command", "--", "true")
    assert "Usage: jarvisctl" in house.ctl().stdout


def test_init_writes_a_configuration_that_is_in_force_and_overwrites_nothing(house: House) -> None:
    house.ctl("init")
    config = house.root / "config"
    plan, settings = config / "plans" / "overnight.yaml", config / "settings.yaml"
    assert settings.read_text().startswith("# yaml-language-server: $schema=schemas/settings.json\n")
    assert plan.read_text().startswith("# yaml-language-server: $schema=../schemas/plan.json\n")
    for path in (settings, plan):
        named = path.read_text().splitlines()[0].partition("$schema=")[2]
        assert json.loads((path.parent / named).read_text())["type"] == "object"
    for name in ("models", "scenarios", "manual_templates"):  # what the owner may copy there names these
        assert json.loads((config / "schemas" / f"{name}.json").read_text())["type"] == "object"
    plan.write_text("# mine\nreport: {}\n")
    output = house.ctl("init").stdout
    assert f"{plan}: kept as it is" in output
    assert plan.read_text() == "# mine\nreport: {}\n"
    assert f"{settings}  (yours)" in house.ctl("config").stdout


def test_the_daemon_runs_since_a_time_of_the_local_clock(house: House) -> None:
    house.daemon()
    assert re.search(r"runs since today \d\d:\d\d \(just now\) \(pid \d+\)", house.ctl("doctor", code=None).stdout)
