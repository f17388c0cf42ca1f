"""Plans: times, nights, names, and what is refused with file, line and key."""

from __future__ import annotations

import datetime as dt
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from unittest.mock import Mock

import pytest
from pydantic import BaseModel, Field

from jarvisd import registry
from jarvisd.errors import PlanError, UsageError
from jarvisd.paths import Home
from jarvisd.plan import plans, times, yamlfile
from jarvisd.plan.warnings import grouped
from jarvisd.registry import MissingDownload, MissingRequirement


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "config" / "plans").mkdir(parents=True)
    return Home(tmp_path, "--home")


def write(home: Home, text: str, name: str = "mine-only") -> str:
    (home.root / "config" / "plans" / f"{name}.yaml").write_text(text)
    return name


def test_until_is_its_next_occurrence(berlin: None) -> None:
    assert times.deadline("07:00", at("2026-11-22T22:00")) == at("2026-11-23T07:00")
    assert times.deadline("07:00", at("2026-11-22T06:59")) == at("2026-11-22T07:00")
    assert times.deadline("07:00", at("2026-11-22T07:00")) == at("2026-11-23T07:00")


@pytest.mark.parametrize(
    ("evening", "hours"), [("2026-10-24T22:00", 10), ("2026-03-28T22:00", 8), ("2026-11-22T22:00", 9)]
)
def test_until_means_the_wall_clock_in_nights_of_23_and_25_hours(berlin: None, evening: str, hours: int) -> None:
    start = at(evening)
    assert times.deadline("07:00", start) - start == dt.timedelta(hours=hours)


@pytest.mark.parametrize("text", ["25:00", "7 o'clock", "", "07:60", "2020-01-01T07:00"])
def test_what_is_no_time_or_in_the_past_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a time|in the past"):
        times.deadline(text, dt.datetime.now().astimezone())


@pytest.mark.parametrize(
    ("moment", "night"),
    [
        ("2026-11-22T22:00", "2026-11-22"),
        ("2026-11-23T06:00", "2026-11-22"),
        ("2026-11-23T11:59", "2026-11-22"),
        ("2026-11-23T12:00", "2026-11-23"),
    ],
)
def test_evening_and_the_morning_after_are_one_night(berlin: None, moment: str, night: str) -> None:
    assert times.night_of(at(moment)) == night


@pytest.mark.parametrize(
    ("moment", "date"),
    [
        ("2026-11-22T22:00", "2026-11-22"),
        ("2026-11-23T05:59", "2026-11-22"),
        ("2026-11-23T06:00", "2026-11-23"),
        ("2026-11-23T10:39", "2026-11-23"),
    ],
)
def test_a_run_that_starts_by_day_is_dated_by_that_day(berlin: None, moment: str, date: str) -> None:
    assert times.date_of(at(moment)) == date


def test_what_one_download_fetches_is_one_warning_and_each_other_cause_is_one() -> None:
    def lacks(job: str, model: str) -> MissingRequirement:
        download = MissingDownload(name=model, source=f"hub/{model}", bytes=2_000_000_000)
        return MissingRequirement(job=job, what=f"{model} is not here", remedy="Fetch it.", download=download)

    sealed = [MissingRequirement(job=job, what="sealed", remedy="Open it.") for job in ("mine", "turns")]
    missing = [lacks("a", "one"), lacks("b", "two"), lacks("turns", "two"), *sealed]
    assert grouped(missing, "overnight") == [
        "mine, turns: sealed. Open it.",
        "2 models (4.0 GB) are not on this disk: one, two. `jarvisctl models fetch --only overnight` downloads them.",
    ]
    assert grouped(missing[:1], "overnight") == ["a: one is not here. Fetch it."]


def test_an_unknown_plan_names_the_nearest(home: Home) -> None:
    write(home, "report: {}", "halloween")
    with pytest.raises(UsageError, match=r"Did you mean halloween\?"):
        plans.find_plan(home, "haloween")


@pytest.mark.parametrize("name", ["../secrets", "/etc/passwd", "a/b", "", "."])
def test_a_plan_is_never_looked_for_outside_the_configuration(home: Home, name: str) -> None:
    with pytest.raises(UsageError):
        plans.find_plan(home, name)


def test_a_file_that_is_there_outside_the_plans_is_no_plan_either(home: Home) -> None:
    (home.root / "config" / "secrets.yaml").write_text("report: {}")
    for name in ("../secrets", "../plans/../secrets", "./../secrets"):
        with pytest.raises(UsageError, match="no plan is called"):
            plans.find_plan(home, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\nmined: {}\n", r"mine-only.yaml:2: mined: unknown key. Did you mean mine\?"),
        ("mine: {templats: 3}\n", r":1: mine.templats: unknown key. Did you mean templates\?"),
        ("mine: {templates: abc}\n", r":1: mine.templates: must be a whole number. It is 'abc'"),
        ("command:\n  - run: [a]\n    nmae: b\n", r":3: command\[0\].nmae: unknown key"),
        ("title: [unclosed\n", r"not YAML"),
        ("until: 22:00\n", r":1: until: this is a number in YAML; put the time in quotes"),
        ('until: "25:00"\n', r":1: until: 25:00 is not a time"),
        ("title: a\ntitle: b\n", r":2: title: given twice"),
        ("command:\n  - run: echo hello\n", r"there is no shell"),
        ("- a\n- b\n", r"not a plan"),
        ("title: !!python/object/apply:os.system [ls]\n", r"not YAML"),
        ("late: -5\n", r":1: late: must be skip or run, or a number of at least 0. It is -5."),
        ("late: [1]\n", r":1: late: must be skip or run, or a whole number$"),
        (
            "evaluate: {models: [a], rounds: maybe}\n",
            r"evaluate.rounds: must be a whole number, or auto. It is 'maybe'.",
        ),
        ("evaluate: {models: a}\n", r"evaluate.models: must be a list, as \[a, b\]. It is 'a'."),
        ("evaluate: {models: []}\n", r"evaluate.models: must have at least 1 entry"),
        (
            "evaluate:\n  models: [qwen3-4b]\n  scenarios: nope.yaml\n",
            r":3: evaluate.scenarios: nope.yaml: no such",
        ),
        ("mine: 'yes'\n", r":1: mine: must be lines of `key: value`. It is 'yes'."),
        ("mine: {templates: true}\n", r"mine.templates: must be a number. It is true or false."),
        ("report:\n  gates:\n", r":2: report.gates: must be lines of `key: value`. It is empty."),
        ("command:\n  - run: [a]\n    name: X Y\n", r":3: command\[0\].name: this cannot be a job's name"),
        ("command:\n  - run: [a]\n    env: {int: 3}\n", r"command\[0\].env.int: must be text. It is 3."),
        (
            "command:\n  - run: [a]\n    env: {A=B: c}\n",
            r"command\[0\].env: 'A=B' cannot be the name of a variable; write it without =",
        ),
        ("command:\n  - run: ['']\n", r"command\[0\].run: the first word is the program, and it is empty"),
        (
            "command:\n  - {run: [a], name: a}\n  - {run: [b], name: a}\n",
            r":1: command: two programs have the same name",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_key(home: Home, text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        plans.read_plan(home, write(home, text))
    assert caught.value.exit_code == 2


def test_a_file_is_parsed_once_until_it_changes_and_each_reader_has_its_own_data(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("names: [a]")
    parsed = yamlfile._parse_once.cache_info().misses
    yamlfile.read(file).data["names"].append("b")
    assert yamlfile.read(file).data == {"names": ["a"]}
    assert yamlfile._parse_once.cache_info().misses == parsed + 1
    file.write_text("names: [c]")
    assert yamlfile.read(file).data == {"names": ["c"]}


def test_aliases_that_multiply_are_refused(home: Home) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(PlanError, match="too many values"):
        plans.read_plan(home, write(home, bomb))


def test_a_huge_file_is_refused_unread(home: Home) -> None:
    with pytest.raises(PlanError, match="larger than"):
        plans.read_plan(home, write(home, "#" * (yamlfile.MAX_BYTES + 1)))


def test_of_a_huge_file_no_more_is_read_than_is_needed_to_refuse_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    with path.open("wb") as out:
        out.truncate(64 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(PlanError, match="larger than"):
            yamlfile.read(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mine", "not of the form KEY=VALUE"),
        ("mined.templates=3", "--set mined"),
        ("late=[1, 2]", "--set late"),
        ("title=[unclosed", "not YAML"),
        ("until=25:61", "--set until"),
        ("until=22:00", "Use `--until 22:00`"),
        ("report.layers.checks=true", "--set report.layers.checks: must be a number"),
        ("late=-5", "--set late: must be skip or run, or a number"),
        ("command=[{run: [a], name: X Y}]", r"--set command\[0\].name: this cannot be"),
    ],
)
def test_a_wrong_override_is_named(home: Home, override: str, message: str) -> None:
    name = write(home, "title: x\ncommand:\n  - run: [echo]\n")
    with pytest.raises(UsageError, match=message):
        plans.read_plan(home, name, [override])


def test_an_override_changes_the_plan_and_marks_it_changed(home: Home) -> None:
    name = write(home, "title: x\ncommand:\n  - run: [echo]\n")
    assert not plans.read_plan(home, name).changed
    changed = plans.read_plan(home, name, ["title=y"])
    assert changed.changed
    assert changed.common.title == "y"


def test_programs_of_one_name_become_jobs_of_different_names(home: Home) -> None:
    name = write(home, "command:\n  - run: [echo, a]\n  - run: [echo, b]\n  - run: [echo, c]\n    name: last\n")
    assert [spec.name for _, spec in plans.read_plan(home, name).specs()] == [
        "command:echo",
        "command:echo-2",
        "command:last",
    ]


def test_only_keeps_the_named_jobs(home: Home) -> None:
    name = write(home, "command:\n  - run: [echo]\n    name: a\n  - run: [echo]\n    name: b\n")
    assert [spec.name for _, spec in plans.read_plan(home, name, only=["command:b"]).specs()] == ["command:b"]
    with pytest.raises(UsageError, match="Did you mean command:a"):
        plans.read_plan(home, name, only=["comand:a"]).specs()


def test_what_later_rounds_miss_is_no_warning_where_only_other_jobs_run(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    text = "command:\n  - run: [echo]\nevaluate: {models: [qwen3-4b, smollm2-135m], rounds: auto}\nreport: {}\n"
    name = write(home, text)
    for only, lacking in (
        ("report", []),
        ("command:echo", []),
        ("evaluate:qwen3-4b", ["evaluate:qwen3-4b", "metrics"]),
    ):
        plan = plans.read_plan(home, name, only=[only])
        assert [
            requirement.job for requirement in plan.missing_requirements(spec.name for _, spec in plan.specs())
        ] == lacking


def test_the_jobs_of_a_plan_are_made_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Mock(wraps=registry.find("command").plan().jobs)
    monkeypatch.setattr("jobs.command.plan.jobs", asked)
    plan = plans.read_plan(home, write(home, "command:\n  - run: [echo]\n"))
    assert plan.specs() == plan.specs()
    assert asked.call_count == 1


def test_a_rule_with_braces_in_it_is_quoted_and_not_filled_in(tmp_path: Path) -> None:
    class Either(BaseModel):
        code: int | Annotated[str, Field(pattern="^[a-z]{2}$")]

    path = tmp_path / "either.yaml"
    path.write_text("code: nonsense\n")
    with pytest.raises(PlanError, match=r"code: must be a whole number, or String should match pattern \^\[a-z\]\{2\}"):
        yamlfile.load(path, Either)


#: A program of a plan, with the arguments that programs have.
PROGRAM = "  - {{run: [/usr/bin/env, python3, tools/convert.py, --input, 'data/{n}.json'], name: n{n}, timeout: 600}}\n"


@pytest.mark.parametrize("program", ["  - {{run: ['true'], name: n{n}}}\n", PROGRAM], ids=["short", "with arguments"])
def test_a_plan_of_ten_thousand_named_programs_is_accepted(home: Home, program: str) -> None:
    name = write(home, "command:\n" + "".join(program.format(n=number) for number in range(10_000)))
    assert len(list(plans.read_plan(home, name).specs())) == 10_000


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (10_001, "yaml:10002: a list of more than 10,000 entries. Split it into several files."),
        (100_000, "yaml:10002: a list of more than 10,000 entries. Split it into several files."),
        (200_000, "larger than 2,048 KB. Split it into several files."),
    ],
)
def test_a_plan_with_more_programs_is_refused(home: Home, number: int, message: str) -> None:
    name = write(home, "command:\n" + "  - {run: ['true']}\n" * number)
    with pytest.raises(PlanError) as refused:
        plans.read_plan(home, name)
    assert message in str(refused.value)
