"""jarvisd.log: how long it grows, what a line begins with, and that no text of an exception gets into it."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Callable, Iterator

import pytest

from jarvisd import logs
from jarvisd.paths import Home
from jarvisd.store.models import Run

MakeRun = Callable[..., Run]


@pytest.fixture
def daemon_log(home: Home) -> Iterator[logging.Logger]:
    """The daemon's logger, as it sets it up; its handlers go with the test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.daemon_logging(home, foreground=False)
    yield logging.getLogger("jarvisd")
    for handler in [handler for handler in root.handlers if handler not in before]:
        handler.close()
        root.removeHandler(handler)
    root.setLevel(level)


def test_the_daemons_log_never_grows_beyond_ten_files_of_a_megabyte(home: Home, daemon_log: logging.Logger) -> None:
    for number in range(1300):
        daemon_log.info("%d %s", number, "x" * 10_000)
    sizes = [path.stat().st_size for path in home.logs.glob("jarvisd.log*")]
    assert len(sizes) == 10
    assert max(sizes) <= 1_000_000
    assert sum(sizes) > 8_000_000


def test_a_line_of_the_daemons_log_begins_with_its_time_and_zone(home: Home, daemon_log: logging.Logger) -> None:
    daemon_log.info("a line")
    stamp, level, *words = (home.logs / "jarvisd.log").read_text().split()
    assert dt.datetime.fromisoformat(stamp).utcoffset() is not None
    assert (level, words) == ("INFO", ["a", "line"])


def test_of_an_exception_only_type_and_place_are_in_the_daemons_log(home: Home, daemon_log: logging.Logger) -> None:
    """Whoever logs it, a library too: its text may quote a message."""
    try:
        raise ValueError("the canary sings at midnight")
    except ValueError:
        logging.getLogger("huey").exception("unhandled")
    log = (home.logs / "jarvisd.log").read_text()
    assert "canary" not in log
    assert re.search(r"unhandled\nValueError\nat test_daemon_log.py:\d+ in test_of_an_exception", log)
