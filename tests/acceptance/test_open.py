"""`jarvisctl open`: the process of the local page, and its first screen in a browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.acceptance.browsing import NEEDS_BROWSER, chromium, log_in, opened
from tests.acceptance.conftest import House, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["chromium", "opened"]


def state(house: House) -> dict[str, Any]:
    return json.loads((house.root / "var" / "web.json").read_text())


def ends(pid: int) -> None:
    until(lambda: not psutil.pid_exists(pid), what="the page ends")


@pytest.fixture
def page_process(house: House) -> Iterator[House]:
    """A home whose page runs."""
    house.ctl("open", "--url")
    yield house
    house.ctl("stop", code=None)


def test_a_second_open_uses_the_page_that_runs_and_stop_ends_it(page_process: House) -> None:
    house, first = page_process, state(page_process)
    assert set(first) == {"port", "pid", "version"}
    address = house.ctl("open", "--url")
    assert address.stdout.startswith(f"http://127.0.0.1:{first['port']}/login#")
    assert f"ssh -N -L {first['port']}:127.0.0.1:{first['port']}" in address.stderr
    assert state(house) == first
    assert "The page has ended" in house.ctl("stop").stderr
    ends(first["pid"])
    assert not [path.name for path in (house.root / "var").iterdir() if path.name.startswith("web")]


def test_its_files_are_private(page_process: House) -> None:
    page_process.environment["BROWSER"] = "true"
    page_process.ctl("open")
    files = [path for path in (page_process.root / "var").iterdir() if path.name.startswith("web")]
    assert {path.name for path in files} == {"web.json", "web-secret", "web-open.html"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_it_listens_on_this_computer_alone(page_process: House) -> None:
    listening = psutil.Process(state(page_process)["pid"]).net_connections("inet")
    assert [connection.laddr.ip for connection in listening] == ["127.0.0.1"]


def test_no_ticket_is_in_a_command_line(house: House, tmp_path: Path) -> None:
    """Other accounts of a computer read `ps`: the browser is given the name of a private file."""
    seen = tmp_path / "seen"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$@" > {seen}\n')
    program.chmod(0o755)
    house.environment["BROWSER"] = str(program)
    house.ctl("open")
    assert seen.read_text().strip() == (house.root / "var" / "web-open.html").as_uri()


def test_a_page_of_another_version_is_replaced(page_process: House) -> None:
    """After an upgrade `open` starts the new page."""
    old, path = state(page_process), page_process.root / "var" / "web.json"
    with path.open("r+") as file:  # in place: the page holds this very file locked
        file.truncate(0)
        file.write(json.dumps(old | {"version": "0.1.9"}))
    page_process.ctl("open", "--url")
    new = state(page_process)
    assert new["pid"] != old["pid"] and new["version"] != "0.1.9"
    ends(old["pid"])


def test_a_page_that_was_killed_is_started_again(page_process: House) -> None:
    old = state(page_process)
    os.kill(old["pid"], signal.SIGKILL)
    ends(old["pid"])
    page_process.ctl("open", "--url")
    assert state(page_process)["pid"] != old["pid"]


def test_two_at_once_start_one_page(house: House) -> None:
    words = [Path(sys.executable).parent / "jarvisctl", "--home", str(house.root), "open", "--url"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    addresses = {process.communicate()[0].partition("#")[0] for process in both}
    assert addresses == {f"http://127.0.0.1:{state(house)['port']}/login"}


def test_it_ends_when_idle(house: House) -> None:
    """The same process with a shorter time than its 15 minutes."""
    words = [sys.executable, "-m", "jarvisd.web", "--home", str(house.root), "--idle-minutes", "0.02"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert not (house.root / "var" / "web.json").exists()


def test_it_ends_when_var_is_removed(page_process: House) -> None:
    pid = state(page_process)["pid"]
    shutil.rmtree(page_process.root / "var")
    ends(pid)
    assert not (page_process.root / "var").exists()


def test_it_imports_no_numerical_library(page_process: House) -> None:
    """Those are for a child process: the page stays small."""
    pid = state(page_process)["pid"]
    names = {Path(mapped.path).name for mapped in psutil.Process(pid).memory_maps()}
    assert not [name for name in names if any(word in name for word in ("numpy", "torch", "mlx", "matplotlib", "blas"))]


@NEEDS_BROWSER
def test_a_browser_logs_in_and_sees_the_night(house: House, chromium: Browser) -> None:
    """From the file of `open`; the session's cookie is hidden from scripts, and nothing complains."""
    house.enqueue("command", "--name", "count", "--", "sleep", "60")
    opened = log_in(house, chromium)
    assert opened.page.title() == "Tonight · jarvisd"
    opened.page.get_by_text("The daemon is down").wait_for()
    assert opened.page.locator("#state-1").inner_text() == "queued"
    (cookie,) = opened.context.cookies(opened.root)
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and opened.root.endswith(cookie["path"])
    assert opened.page.evaluate("document.cookie") == ""
    house.daemon()
    opened.page.locator("#state-1", has_text="running").wait_for()
    assert opened.complaints == []
    opened.context.close()


@NEEDS_BROWSER
def test_with_a_run_it_shows_that_run(house: House, chromium: Browser) -> None:
    house.enqueue("command", "--name", "count", "--", "true")
    run = house.enqueue("command", "--name", "other", "--", "true")
    opened = log_in(house, chromium, run)
    opened.page.get_by_role("heading", name="command:other").wait_for()
    assert opened.page.url == f"{opened.root}history/run/{run}" and opened.complaints == []
    opened.context.close()
    assert "no run is called 'nope'" in house.ctl("open", "nope", code=2).stderr


@NEEDS_BROWSER
def test_the_printed_address_logs_in_once(house: House, chromium: Browser) -> None:
    """As over SSH. The ticket stays in the part of the address that no browser sends, and leaves it at once."""
    house.enqueue("command", "--", "true")
    address = house.ctl("open", "--url").stdout.strip()
    for expected in ("nav", "[role=alert]"):
        context = chromium.new_context()
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector(expected)
        assert "#" not in page.url
        context.close()
