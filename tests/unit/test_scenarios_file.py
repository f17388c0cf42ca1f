"""Reading a scenario file: what it may say, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvisd.errors import PlanError
from jarvisd.paths import Home
from jarvisd.registry import PlanContext
from jobs.evaluate import scenarios

FILE = """\
opening: Help.
phrases:
  agree: ['\\byes\\b', '\\bok\\b']
scenarios:
  - id: one
    context: "Ann: Hi?"
    prompts:
      - instruction: Say yes
        checks:
          agrees: {says: [$agree, '\\bsure\\b'], lacks: ['\\bnot\\b']}
"""


@pytest.fixture
def setting(tmp_path: Path) -> PlanContext:
    return PlanContext(home=Home(tmp_path, "--home"), folder=tmp_path, messages=tmp_path / "chat.db")


def write(setting: PlanContext, text: str) -> str:
    (setting.folder / "own.yaml").write_text(text)
    return "own.yaml"


def test_the_shipped_file_holds_five_scenarios_and_thirteen_prompts(setting: PlanContext) -> None:
    sheet = scenarios.load("scenarios.yaml", setting)
    assert [len(scenario.prompts) for scenario in sheet.scenarios] == [3, 3, 3, 2, 2]
    assert sheet.guide.opening.startswith("You are helping draft an iMessage reply.")


def test_lists_of_phrases_are_spelled_out_in_what_a_run_keeps(setting: PlanContext) -> None:
    sheet = scenarios.load(write(setting, FILE), setting)
    check = sheet.scenarios[0].prompts[0].checks["agrees"]
    assert check.says == (r"\byes\b", r"\bok\b", r"\bsure\b")
    assert scenarios.ResolvedScenarios.model_validate(sheet.as_json()) == sheet


def test_a_file_beside_the_plan_comes_before_the_shipped_one(setting: PlanContext) -> None:
    (setting.folder / "scenarios.yaml").write_text(FILE)
    assert [one.id for one in scenarios.load("scenarios.yaml", setting).scenarios] == ["one"]


@pytest.mark.parametrize(
    ("old", "new", "what", "line"),
    [
        ("says: [$agree, '\\bsure\\b']", "says: ['(unclosed']", "not a regular expression", 10),
        ("says: [$agree, '\\bsure\\b']", "says: ['(a+)+b']", "take forever", 10),
        ("says: [$agree, '\\bsure\\b']", "says: ['(?:a*)*']", "take forever", 10),
        ("$agree", "$agre", "no list of phrases is called 'agre'", None),
        ("lacks", "lack", "unknown key", 10),
        ("      - instruction: Say yes\n", "      - instruction: ''\n", "at least 1 character", 8),
        ("id: one", "id: One Two", "pattern", 5),
        ("opening: Help.", "opening: Help.\nevery_reply: [kindness]", "no general check", None),
    ],
)
def test_a_wrong_key_is_refused_with_its_line(
    setting: PlanContext, old: str, new: str, what: str, line: int | None
) -> None:
    assert old in FILE
    with pytest.raises(PlanError, match=what) as refused:
        scenarios.load(write(setting, FILE.replace(old, new)), setting)
    assert "own.yaml" in str(refused.value)
    if line:
        assert refused.value.line == line


@pytest.mark.parametrize(
    "text", ["", "opening: Help.\n", "opening: Help.\nscenarios: []\n", FILE[: FILE.index("      - instr")]]
)
def test_a_file_without_prompts_is_refused(setting: PlanContext, text: str) -> None:
    with pytest.raises(PlanError):
        scenarios.load(write(setting, text), setting)


def test_an_empty_list_of_prompts_is_refused(setting: PlanContext) -> None:
    text = FILE[: FILE.index("    prompts:")] + "    prompts: []\n"
    with pytest.raises(PlanError, match=r"prompts.*at least 1"):
        scenarios.load(write(setting, text), setting)


def test_a_missing_file_is_refused_by_name(setting: PlanContext) -> None:
    with pytest.raises(PlanError, match=r"nowhere\.yaml"):
        scenarios.load("nowhere.yaml", setting)


def test_the_instruction_of_a_real_turn_has_a_default_and_may_be_set(setting: PlanContext) -> None:
    assert scenarios.load(write(setting, FILE), setting).guide.turn_instruction == "Reply the way I would"
    own = FILE.replace("opening: Help.", "opening: Help.\nturn_instruction: As me")
    assert scenarios.load(write(setting, own), setting).guide.turn_instruction == "As me"


def test_no_scenario_may_take_the_name_of_the_real_turns(setting: PlanContext) -> None:
    with pytest.raises(PlanError, match="no scenario may be called real-turns"):
        scenarios.load(write(setting, FILE.replace("id: one", "id: real-turns")), setting)
