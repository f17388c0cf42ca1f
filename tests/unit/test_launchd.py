"""The two agents are property lists that launchd can read, with nothing in them that it would not expand."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

AGENTS = sorted((Path(__file__).resolve().parents[2] / "launchd").glob("*.plist"))


@pytest.mark.parametrize("path", AGENTS, ids=lambda path: path.stem)
def test_an_agent_is_a_property_list_named_by_its_label(path: Path) -> None:
    agent = plistlib.loads(path.read_bytes())
    assert agent["Label"] == path.stem
    assert agent["Umask"] == 0o077
    assert "~" not in path.read_text().replace("neither ~ nor", "")


def test_the_daemon_is_kept_alive_after_a_crash_only_and_has_time_to_stop() -> None:
    from jarvisd.daemon.attempt import GRACE_S

    agent = plistlib.loads(AGENTS[0].read_bytes())
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["ExitTimeOut"] > GRACE_S + 5
    assert "--wait" in agent["ProgramArguments"]


def test_the_nightly_start_has_a_minute_and_no_keep_alive() -> None:
    agent = plistlib.loads(AGENTS[1].read_bytes())
    assert agent["StartCalendarInterval"] == {"Hour": 22, "Minute": 0}
    assert "KeepAlive" not in agent
    assert agent["ProgramArguments"][-3:] == ["enqueue", "overnight", "--start"]
