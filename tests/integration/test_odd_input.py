"""Names and numbers that the database cannot hold: refused in words, and nothing is stored."""

from __future__ import annotations

import pytest

from jarvisd.errors import UsageError
from jarvisd.operations import lookup, submit
from jarvisd.paths import Home
from jarvisd.store.models import Run


@pytest.mark.parametrize(("name", "message"), [("9" * 40, "no job has the number"), ("x" * 301, "has a name of 301")])
def test_a_name_that_no_job_can_have_is_not_looked_for(home: Home, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lookup.find_job_or_run(name)


def test_a_program_whose_name_is_not_utf_8_is_refused(home: Home) -> None:
    with pytest.raises(UsageError, match="a name that is not UTF-8"):
        submit.submit_command(home, ["\udcff"])
    assert Run.select().count() == 0


def test_a_number_that_is_too_large_for_the_database_is_refused(home: Home) -> None:
    with pytest.raises(UsageError, match="a number of the plan is too large"):
        submit.submit_command(home, ["true"], memory_mb=10**20)
    assert Run.select().count() == 0
