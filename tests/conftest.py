"""What every test stands on: no variable of the developer's own environment may change a result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from jarvisd import store
from jarvisd.store import database
from tests import postgres

store.show_driver()  # of PostgreSQL, for the tests themselves
#: A busy machine makes inputs slowly; that says nothing about the code.
settings.register_profile("default", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

#: Programs that tests start keep what Python compiles, as for a user: compiling is a quarter of a short call.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Under this name a test records a line for the end.
_FIGURES = "figures"
_OURS = ("JARVISD_", "HF_", "TRANSFORMERS_", "XDG_")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has a home of its own, empty."""
    for name in list(os.environ):
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("JARVISD_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def no_connection_is_left() -> Iterator[None]:
    """A program's connection ends with it; of a verb that is called inside the tests it must be ended."""
    yield
    database.disconnect()


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server of this test process."""
    postgres.skip_without_server()
    with postgres.running() as started:
        yield started


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a line of figures at the end of all tests, wherever this one runs."""
    return partial(record_property, _FIGURES)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for group in terminalreporter.stats.values() for report in group]
    calls = [report for report in reports if isinstance(report, pytest.TestReport) and report.when == "call"]
    lines = [str(value) for report in calls for name, value in report.user_properties if name == _FIGURES]
    if lines:
        terminalreporter.section("figures")
    for line in lines:
        terminalreporter.write_line(line)
