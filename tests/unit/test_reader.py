"""Two readers of a reply, the checks and the examples, against replies that a person graded before any was scored.

The readers see none of these replies: they are fitted to the examples of config/scenarios.yaml alone.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from jarvisd.paths import Home
from jarvisd.plugin import PlanContext, PlanError
from jobs.evaluate import checks, scenarios, scoring
from jobs.evaluate.borrowed import borrowed
from jobs.evaluate.reader import Reader, body
from jobs.evaluate.scenarios import Examples, Prompt, ResolvedScenarios, Scenario
from jobs.evaluate.scoring import Answer, ReplyScore, Scorer

GRADED = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "fixtures" / "graded_replies.jsonl").read_text("utf-8").splitlines()
]
#: Kinds of reply that a form check finds; what is left says the wrong thing in the right words.
EASY = {"assistant", "refusal", "placeholder", "echo", "names-model", "truncated", "formal", "partial"}


@pytest.fixture(scope="module")
def sheet() -> ResolvedScenarios:
    home = Home(Path("/nonexistent"), "--home")
    return scenarios.load("scenarios.yaml", PlanContext(home=home, folder=Path("/nonexistent"), messages=Path("/x")))


def answer(sheet: ResolvedScenarios, scenario_id: str, instruction: str, reply: str, finish: str = "stop") -> Answer:
    scenario = next(scenario for scenario in sheet.scenarios if scenario.id == scenario_id)
    prompt = next(prompt for prompt in scenario.prompts if prompt.instruction == instruction)
    return Answer(scenario=scenario, prompt=prompt, raw=reply, finish_reason=finish)


@pytest.fixture(scope="module")
def scorer(sheet: ResolvedScenarios) -> Scorer:
    """Without an encoder, as on a machine that has none."""
    return Scorer(sheet)


@pytest.fixture(scope="module")
def scores(sheet: ResolvedScenarios, scorer: Scorer) -> list[ReplyScore]:
    """Of the graded replies."""
    rows = [
        answer(sheet, row["scenario"], row["instruction"], row["reply"], row.get("finish_reason", "stop"))
        for row in GRADED
    ]
    return scorer.score(rows)


def auc(rows: list[tuple[dict[str, Any], float]]) -> float:
    """Area under the curve, grades 3 and 4 against 0 and 1."""
    clear = [(row["grade"] > 2, value) for row, value in rows if row["grade"] != 2]
    return float(roc_auc_score([good for good, _ in clear], [value for _, value in clear]))


def test_the_graded_set_is_large_and_has_every_kind_and_grade() -> None:
    assert len(GRADED) >= 250
    assert {row["grade"] for row in GRADED} == {0, 1, 2, 3, 4}
    assert len({(row["scenario"], row["instruction"]) for row in GRADED}) == 13
    assert {row["kind"] for row in GRADED} >= EASY | {"good", "slang", "short", "long", "opposite", "off-topic", "rude"}


def test_no_graded_reply_is_an_example(sheet: ResolvedScenarios) -> None:
    def bare(text: str) -> str:
        return re.sub(r"(.)\1{2,}", r"\1\1", text.lower()).strip(" .!?")

    examples = {
        (scenario.id, prompt.instruction, bare(reply))
        for scenario in sheet.scenarios
        for prompt in scenario.prompts
        for reply in (*prompt.examples.good, *prompt.examples.bad)
    }
    assert not examples & {(row["scenario"], row["instruction"], bare(row["reply"])) for row in GRADED}


def test_every_shipped_prompt_has_examples_of_both_sides(sheet: ResolvedScenarios) -> None:
    for scenario in sheet.scenarios:
        for prompt in scenario.prompts:
            assert len(prompt.examples.good) >= 12, prompt.instruction
            assert len(prompt.examples.bad) >= 12, prompt.instruction


def test_good_replies_score_above_bad_ones(scores: list[ReplyScore]) -> None:
    """Measured 0.94, of the hard ones 0.94 (the checks alone: 0.69 and 0.60), Spearman 0.68."""
    rows = list(zip(GRADED, [score.value for score in scores], strict=True))
    written = [(row, value) for row, value in rows if row["source"] == "written"]
    assert auc(written) >= 0.92
    assert auc([(row, value) for row, value in written if row["kind"] not in EASY]) >= 0.92
    assert spearmanr([row["grade"] for row, _ in rows], [value for _, value in rows])[0] >= 0.65


def test_good_replies_of_a_real_model_score_above_bad_ones(scores: list[ReplyScore]) -> None:
    """Measured 0.96, and 0.98 of the last batch, graded when all examples were written (the checks alone: 0.91)."""
    rows = list(zip(GRADED, [score.value for score in scores], strict=True))
    real = [(row, value) for row, value in rows if row["source"] != "written"]
    last = [(row, value) for row, value in real if row["batch"] == 3]
    assert (len(real), len(last)) == (136, 52)
    assert auc(real) >= 0.94
    assert auc(last) >= 0.95
    assert spearmanr([row["grade"] for row, _ in last], [value for _, value in last])[0] >= 0.65


def test_a_prompt_borrows_what_fails_its_checks_and_nothing_that_is_right_for_it(sheet: ResolvedScenarios) -> None:
    scenario = next(scenario for scenario in sheet.scenarios if scenario.id == "parent-request")
    yes, _, cannot = scenario.prompts
    lent = borrowed(sheet, scenario, cannot)
    assert set(lent) & set(yes.examples.good)
    assert not set(lent) & {*cannot.examples.good, *cannot.examples.bad}
    backwards = sheet.model_copy(update={"scenarios": sheet.scenarios[::-1]})
    assert set(borrowed(backwards, scenario, cannot)) == set(lent)


def test_examples_that_are_left_out_are_told_apart(sheet: ResolvedScenarios) -> None:
    """The stricter test, for no example has a near twin: measured 0.963."""
    reader = Reader(sheet)
    assert roc_auc_score(reader.is_good, reader.left_out) >= 0.94


def _examples(sheet: ResolvedScenarios) -> list[tuple[bool, str]]:
    prompts = [prompt for scenario in sheet.scenarios for prompt in scenario.prompts]
    return [
        (side, reply)
        for prompt in prompts
        for side, replies in ((True, prompt.examples.good), (False, prompt.examples.bad))
        for reply in replies
    ]


def _only(sheet: ResolvedScenarios, scenario_id: str) -> ResolvedScenarios:
    """With this scenario alone: a reader of it is fitted in a moment."""
    return sheet.model_copy(update={"scenarios": tuple(one for one in sheet.scenarios if one.id == scenario_id)})


def _without(sheet: ResolvedScenarios, scenario_id: str, instruction: str) -> ResolvedScenarios:
    def bare(scenario: Scenario) -> Scenario:
        prompts = tuple(
            prompt.model_copy(update={"examples": Examples()})
            if (scenario.id, prompt.instruction) == (scenario_id, instruction)
            else prompt
            for prompt in scenario.prompts
        )
        return scenario.model_copy(update={"prompts": prompts})

    return sheet.model_copy(update={"scenarios": tuple(bare(scenario) for scenario in sheet.scenarios)})


@pytest.mark.parametrize(
    ("scenario_id", "instruction", "reply", "most"),
    [
        ("parent-request", "Say you can't right now", "Sorry, but as an AI language model, I can't help with that.", 0),
        (
            "dinner-invite",
            "Decline politely and suggest another time",
            "Sure, I'm sorry if I can't help. Let's try another time tomorrow.",
            0.2,
        ),
        ("parent-request", "Say you can't right now", "I can't right now. Hope you die", 0.5),
        ("running-late", "Say okay and you'll see them soon", "Okay, I will see you in hell", 0.5),
        ("running-late", "Say no worries", "fuck off", 0),
        ("dinner-invite", "Say yes enthusiastically", "No worries! I'm Qwen, created by Alibaba Cloud.", 0),
    ],
)
def test_a_reply_that_must_not_be_sent_scores_low(
    sheet: ResolvedScenarios, scorer: Scorer, scenario_id: str, instruction: str, reply: str, most: float
) -> None:
    assert scorer.score([answer(sheet, scenario_id, instruction, reply)])[0].value <= most


@pytest.mark.parametrize(
    ("scenario_id", "instruction", "reply"),
    [
        ("dinner-invite", "Ask what time works", "Bet! 7 at the usual spot?"),
        ("dinner-invite", "Say yes enthusiastically", "Wouldn't miss it!!"),
        ("running-late", "Say no worries", "take ur time i'll order us drinks"),
    ],
)
def test_slang_and_short_forms_score_high(
    sheet: ResolvedScenarios, scorer: Scorer, scenario_id: str, instruction: str, reply: str
) -> None:
    assert scorer.score([answer(sheet, scenario_id, instruction, reply)])[0].value >= 0.6


def test_one_canned_text_to_every_prompt_is_worth_little(sheet: ResolvedScenarios, scorer: Scorer) -> None:
    def mean(reply: str) -> float:
        rows = [answer(sheet, s.id, p.instruction, reply) for s in sheet.scenarios for p in s.prompts]
        return float(np.mean([score.value for score in scorer.score(rows)]))

    assert mean("fuck off") == 0
    assert mean("Haha yes! Saw it, thanks, no worries, see you soon! What time works?") < 0.45
    assert mean("The sky is blue.") < 0.2
    assert mean("haha yeah") < 0.3  # 0.61 without what prompts borrow from each other


def test_the_readers_disagree_where_slang_fails_a_check(sheet: ResolvedScenarios, scorer: Scorer) -> None:
    row = answer(sheet, "parent-request", "Say yes", "Yes, you annoying woman, whatever")
    scored = scorer.score([row])[0]
    assert scored.checks_value == 1
    assert scored.disagreement == pytest.approx(scored.checks_value - scored.value)
    assert scored.disagreement > 0.5


def test_without_examples_the_checks_alone_count(sheet: ResolvedScenarios) -> None:
    bare = _without(_only(sheet, "running-late"), "running-late", "Say no worries")
    scored = Scorer(bare).score([answer(bare, "running-late", "Say no worries", "No worries!")])[0]
    assert (scored.value, scored.reader, scored.disagreement) == (1.0, None, None)
    prompt = Prompt(instruction="Say hi", examples=Examples(good=("hi",), bad=("no",)))
    lone = sheet.model_copy(update={"scenarios": (Scenario(id="a", context="A: hi", prompts=(prompt,)),)})
    assert scoring.score("hello", lone.scenarios[0], prompt, lone).reader is None


def test_a_failure_is_worth_nothing_whatever_the_examples_say(sheet: ResolvedScenarios, scorer: Scorer) -> None:
    row = answer(sheet, "running-late", "Say no worries", "No worries, take your", "length")
    scored = scorer.score([row])[0]
    assert (scored.failure, scored.value) == ("truncated", 0)


def test_scores_are_the_same_in_any_company_and_order(sheet: ResolvedScenarios, scorer: Scorer) -> None:
    rows = [answer(sheet, row["scenario"], row["instruction"], row["reply"]) for row in GRADED[::20]]
    together = [score.value for score in scorer.score(rows)]
    backwards = [score.value for score in scorer.score(rows[::-1])][::-1]
    assert together == pytest.approx(backwards, abs=1e-9)


def test_meaning_counts_where_an_encoder_is_given(sheet: ResolvedScenarios) -> None:
    """With an encoder that knows which replies are good, every one of them rises."""
    sheet = _only(sheet, "parent-request")
    good = {body(reply) for side, reply in [*_examples(sheet), (True, "Perchance, my liege")] if side}

    def encode(texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.array([[1.0, 0.0] if text in good else [0.0, 1.0] for text in texts], dtype=np.float32)

    row = answer(sheet, "parent-request", "Say yes", "Perchance, my liege")
    blind, seeing = (Scorer(sheet, given).score([row])[0] for given in (None, encode))
    assert seeing.value > blind.value + 0.1


def test_an_example_on_both_sides_is_refused(tmp_path: Path) -> None:
    text = (
        "opening: Help.\nscenarios:\n  - id: a\n    context: 'A: hi'\n    prompts:\n"
        "      - instruction: Say hi\n        examples: {good: [hi], bad: [hi]}\n"
    )
    (tmp_path / "own.yaml").write_text(text)
    setting = PlanContext(home=Home(tmp_path, "--home"), folder=tmp_path, messages=tmp_path)
    with pytest.raises(PlanError, match="both sides"):
        scenarios.load("own.yaml", setting)


def test_the_general_checks_that_are_worth_nothing_exist() -> None:
    assert set(checks.GENERAL) >= checks.WORTHLESS
