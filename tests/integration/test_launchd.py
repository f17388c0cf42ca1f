"""launchctl, as it answers when things go wrong. Its stand-in is on PATH; only the waits of jarvisd are replaced."""

from __future__ import annotations

import plistlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from jarvisd.errors import JarvisError
from jarvisd.host import machine, power
from jarvisd.launchd import agents, launchctl
from jarvisd.launchd.agents import DAEMON, LABELS
from jarvisd.paths import Home
from jarvisd.plan.schedule import Schedule
from tests.fakes.mac import FakeMac


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMac]:
    made = FakeMac(tmp_path / "mac")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(machine, "MACOS", True)
    monkeypatch.setattr(launchctl, "BACKOFF_S", (0.01, 0.01))
    monkeypatch.setattr(launchctl, "ASK_INTERVAL_S", 0.02)
    yield made
    made.close()


def write_agents(home: Home) -> list[str]:
    lines: list[str] = []
    launchctl.install(home, Schedule(), lines.append)
    return lines


def test_an_agent_that_launchd_never_takes_is_undone_and_the_way_to_find_out_is_named(home: Home, mac: FakeMac) -> None:
    mac.orders(refused=[DAEMON])
    with pytest.raises(JarvisError, match=r"Bootstrap failed: 5: Input/output error; everything is as it was") as error:
        write_agents(home)
    assert f"plutil -lint {agents.file(DAEMON)}" in error.value.remedy
    assert len(mac.calls("launchctl", "bootstrap")) == 3
    assert not agents.file(DAEMON).exists()


def test_an_error_that_is_not_5_is_not_tried_again(home: Home, mac: FakeMac) -> None:
    mac.program("launchctl", "refusing")
    with pytest.raises(JarvisError, match="Bootstrap failed: 78"):
        write_agents(home)
    assert len(mac.calls("launchctl", "bootstrap")) == 1


@pytest.mark.parametrize("old_macos", [False, True])
def test_an_agent_that_lingers_after_its_bootout_is_waited_for(home: Home, mac: FakeMac, old_macos: bool) -> None:
    """Longer than all attempts to load it together take."""
    write_agents(home)
    mac.orders(lingers_s=2, old_macos=old_macos)
    write_agents(home)
    assert set(mac.state()["loaded"]) == set(LABELS)
    assert not mac.state()["leaving"]
    launchctl.uninstall(lambda _: None)
    assert not mac.state()["loaded"]


@pytest.mark.parametrize("old_macos", [False, True])
def test_an_answer_that_means_not_yet_is_tried_again(
    home: Home, mac: FakeMac, monkeypatch: pytest.MonkeyPatch, old_macos: bool
) -> None:
    """launchd may have forgotten the label a moment before it can load it again."""
    write_agents(home)
    monkeypatch.setattr(launchctl, "BACKOFF_S", (0.2,) * 20)
    monkeypatch.setattr(launchctl, "_unload", lambda _label, words: launchctl.launchctl(*words))
    mac.orders(lingers_s=1, old_macos=old_macos)
    write_agents(home)
    assert set(mac.state()["loaded"]) == set(LABELS)


def test_an_agent_that_is_never_unloaded_is_reported(home: Home, mac: FakeMac, monkeypatch: pytest.MonkeyPatch) -> None:
    write_agents(home)
    monkeypatch.setattr(launchctl, "UNLOAD_S", 0.1)
    mac.orders(lingers_s=60)
    with pytest.raises(JarvisError, match=r"has not unloaded org.jarvisd.daemon within 0 s"):
        launchctl.uninstall(lambda _: None)
    assert agents.file(DAEMON).exists()


def test_where_undoing_fails_too_that_is_said(home: Home, mac: FakeMac) -> None:
    write_agents(home)
    mac.orders(refused=list(LABELS))
    with pytest.raises(JarvisError, match="undoing it failed too"):
        write_agents(home)


def test_without_launchctl_there_is_no_session(home: Home, mac: FakeMac) -> None:
    (mac.bin / "launchctl").unlink()
    with pytest.raises(JarvisError, match="no login session"):
        write_agents(home)


def test_a_launchctl_that_hangs_is_given_up(mac: FakeMac, monkeypatch: pytest.MonkeyPatch) -> None:
    mac.program("launchctl", "hanging")
    monkeypatch.setattr(launchctl, "PATIENCE_S", 0.2)
    assert "TimeoutExpired" in launchctl.complaint(launchctl.launchctl("print", launchctl.domain()))


def test_an_agent_is_as_its_print_says(home: Home, mac: FakeMac) -> None:
    write_agents(home)
    loaded = launchctl.loaded(DAEMON)
    assert loaded == launchctl.Loaded(mac.state()["loaded"][DAEMON]["pid"])
    launchctl.uninstall(lambda _: None)
    assert launchctl.loaded(DAEMON) is None


def older(path: Path, _mac: FakeMac) -> str:
    path.write_text(path.read_text().replace("<integer>30</integer>", "<integer>20</integer>"))
    return "is not what this version would install"


def upgraded(path: Path, _mac: FakeMac) -> str:
    path.write_text(path.read_text().replace(str(agents.python()), "/opt/homebrew/Cellar/python3.11"))
    return f"Python has moved from /opt/homebrew/Cellar/python3.11 to {agents.python()}"


def removed(path: Path, _mac: FakeMac) -> str:
    path.write_text(path.read_text().replace(f"{agents.programs()}/jarvisd", "/gone/jarvisd"))
    return "starts /gone/jarvisd, which no longer exists"


def elsewhere(path: Path, _mac: FakeMac) -> str:
    agent = plistlib.loads(path.read_bytes())
    agent["ProgramArguments"][-1] = "/other"
    path.write_bytes(agents.write(agent))
    return "serves another home, /other"


def unreadable(path: Path, _mac: FakeMac) -> str:
    path.write_text("not a property list")
    return "was not written by `jarvisctl install`"


def missing(path: Path, _mac: FakeMac) -> str:
    path.unlink()
    return "is not installed"


def switched_off(_path: Path, mac: FakeMac) -> str:
    mac.disable(DAEMON)
    return f"{DAEMON} is switched off"


def not_loaded(_path: Path, mac: FakeMac) -> str:
    launchctl._unload(DAEMON, ["bootout", launchctl.target(DAEMON)])
    return "launchd has not loaded it"


def test_whatever_is_wrong_with_an_agent_is_said_with_one_remedy(home: Home, mac: FakeMac) -> None:
    write_agents(home)
    assert launchctl.agent_problems(home) == []
    path = agents.file(DAEMON)
    good = path.read_bytes()
    for spoil in (older, upgraded, removed, elsewhere, unreadable, missing, switched_off, not_loaded):
        expected = spoil(path, mac)
        (problem,) = launchctl.agent_problems(home)
        assert expected in problem.what
        assert "jarvisctl install" in problem.remedy
        path.write_bytes(good)
        launchctl.launchctl("enable", launchctl.target(DAEMON))


def test_a_notification_passes_its_words_as_arguments(mac: FakeMac) -> None:
    text = '"; do shell script "touch /tmp/never" --\'\n'
    power.notify("jarvisd", text)
    (call,) = mac.calls("osascript")
    assert call[-2:] == ["jarvisd", text]
    assert not any("never" in word for word in call[:-1])
