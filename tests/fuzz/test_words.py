"""Arguments that a person or a script might get wrong: ids, numbers, durations, `--set`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.conftest import ENDS, TIMES, Judge

SHARED = settings(
    deadline=None,
    max_examples=60 * TIMES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
#: No NUL: the system itself lets none into an argument.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
VALUES = st.one_of(
    WORDS,
    st.integers().map(str),
    st.sampled_from(["nan", "inf", "-inf", "1e20", "1e999", "[", "{a: ", "[[[[", "~", "null", "2026-13-45", "''"]),
)
KEYS = st.sampled_from(
    ["title", "until", "messages", "mine.templates", "evaluate.models", "evaluate.rounds", "a.b.c", "."]
)


@SHARED
@given(st.sampled_from(["status", "logs", "cancel", "retry", "wait", "report", "vote"]), WORDS)
@example("cancel", "\udcff")
@example("status", "x" * 100_000)
@example("cancel", "9" * 40)
def test_a_name_is_found_or_refused_in_one_line(judge: Judge, verb: str, name: str) -> None:
    assert judge.call(verb, *(("--timeout", "0.1") if verb == "wait" else ()), "--", name)[0] in ENDS


@SHARED
@given(KEYS, VALUES)
@example("title", "2026-13-45")
@example("until", "2026-99-99")
@example("messages", "~nobody/x")
@example("evaluate.models", "[" * 3000)
@example("title", '"\\ud800"')
def test_an_override_works_or_is_refused_in_one_line(judge: Judge, key: str, value: str) -> None:
    assert judge.call("enqueue", "short", "--again", "--set", f"{key}={value}")[0] in ENDS


@SHARED
@given(
    st.sampled_from(
        [
            ("runs", "-n"),
            ("prune", "--yes", "--keep"),
            ("pause", "--for"),
            ("enqueue", "short", "--again", "--until"),
            ("logs", "-n"),
            ("install", "--dry-run", "--at"),
        ]
    ),
    VALUES,
)
@example(("runs", "-n"), "1" + "0" * 20)
@example(("prune", "--yes", "--keep"), "1" + "0" * 20)
@example(("enqueue", "short", "--again", "--until"), "9999-12-31T23:59:59-23:59")
def test_a_number_or_a_time_works_or_is_refused_in_one_line(judge: Judge, verb: tuple[str, ...], value: str) -> None:
    judge.call("resume")
    assert (
        judge.call(*verb[:-1], f"{verb[-1]}={value}" if verb[-1].startswith("--") else f"{verb[-1]}{value}")[0] in ENDS
    )


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "1e999", "-1", "x"])
def test_a_wait_that_would_never_end_is_refused(judge: Judge, seconds: str) -> None:
    judge.call("enqueue", "short", "--again")
    code, _ = judge.call("wait", f"--timeout={seconds}")
    assert code == 2


@pytest.mark.parametrize("words", [("--cwd", "\udcff"), ("--name", "\udcff"), ("--env", "A\udcff")])
def test_a_name_that_is_not_utf_8_is_refused_in_words(judge: Judge, words: tuple[str, str]) -> None:
    code, _ = judge.call("enqueue", "command", *words, "--", "true")
    assert code == 2


def test_a_program_whose_name_is_not_utf_8_is_refused_in_words(judge: Judge) -> None:
    code, _ = judge.call("enqueue", "command", "--", "\udcff")
    assert code == 2
