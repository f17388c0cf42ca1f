"""Failures of a reply, and the checks that fit every reply."""

from __future__ import annotations

import time

import pytest

from jobs.evaluate import checks as check_rules
from jobs.evaluate.scenarios import GENERAL_CHECKS, Check, Prompt, PromptDefaults, Scenario

GUIDE = PromptDefaults(opening="You are helping draft an iMessage reply. Be brief.")
SCENARIO = Scenario(
    id="milk",
    context="Mom: Can you pick up milk on your way home?",
    prompts=(Prompt(instruction="Say no worries", checks={"is calm": Check(says=(r"\bno worries\b",))}),),
)


def judge(raw: str, finish_reason: str | None = "stop") -> check_rules.Verdict:
    return check_rules.judge(raw, finish_reason, GUIDE, SCENARIO, SCENARIO.prompts[0])


@pytest.mark.parametrize(
    ("raw", "finish_reason", "failure"),
    [
        ("No worries!", "stop", None),
        ("No worries, see you", "length", "truncated"),
        ("No worries, see you soon. I will", "length", "truncated"),
        ("No worries, see you!", "length", None),
        ("No worries 😊", "length", None),
        ("No worries ❤️", "length", None),
        ('He said "no worries."', "length", None),
        ("", "stop", "empty"),
        (" \n\t", "stop", "empty"),
        ("...", "stop", "empty"),
        ("😂", "stop", None),
        ("<think>\nHe is late.\n</think>\nNo worries!", "stop", "leaked thinking"),
        ("<think>\n\n</think>\n\nNo worries!", "stop", None),  # prompts that switch it off hold this block
        ("\n</think>\n\nNo worries!", "stop", None),
        ("See you soon \ufffd", "length", "truncated"),  # an emoji of four tokens, cut after two
        ("See you soon. \ufffd", "stop", "truncated"),
        ("\ufffd", "length", "truncated"),
        ("See \ufffd you", "stop", "broken tokens"),
        ("No worries!\nassistant\nOk", "stop", "broken tokens"),
        ("No worries!\nHuman: ok", "stop", "broken tokens"),
        ("<think> So the friend", "length", "leaked thinking"),
        ("He is late.\n</think>\nNo worries!", "stop", "leaked thinking"),
        ("NoĠworries", "stop", "broken tokens"),
        ("NoĊworries", "stop", "broken tokens"),
        ("▁No▁worries", "stop", "broken tokens"),
        ("<pad><pad><pad>", "stop", "broken tokens"),
        ("No worries<|im_end|>", "stop", "broken tokens"),
        ("No worries<end_of_turn>", "stop", "broken tokens"),
    ],
)
def test_what_is_no_reply_fails_with_its_reason(raw: str, finish_reason: str, failure: str | None) -> None:
    verdict = judge(raw, finish_reason)
    assert verdict.failure == failure
    assert verdict.quality == 0 or failure is None


@pytest.mark.parametrize(
    ("raw", "thinking"),
    [
        ("<think>hm</think>\n No worries! ", 17),
        ("hm</think>\n No worries! ", 10),  # a template that opens the block in the prompt
        ("No worries!", 0),
        ("<think>\n\n</think>No worries!", 0),
    ],
)
def test_thinking_is_cut_off_the_reply_that_is_shown_and_counted(raw: str, thinking: int) -> None:
    verdict = judge(raw)
    assert (verdict.reply, verdict.thinking) == ("No worries!", thinking)


def test_quality_is_the_general_checks_times_those_of_the_instruction() -> None:
    """Neither makes up for the other: what was not asked for is worth nothing, however well it is put."""
    good, bad = judge("No worries!"), judge("Reply: ok")
    assert good.quality == 1
    assert len(bad.checks) == len(check_rules.GENERAL) + 1
    assert [name for name, passed in bad.checks.items() if not passed] == ["plain text", "is calm"]
    assert bad.quality == 0
    assert judge("Reply: No worries!").quality == check_rules.MALFORMED


@pytest.mark.parametrize(
    "raw",
    [
        "No worries, [Name]!",
        "No worries! How can I help you today?",
        "Say no worries!",
        "No worries! I'm Qwen, created by Alibaba Cloud.",
        "No worries, but I'm unable to assist with that.",
    ],
)
def test_a_placeholder_an_assistants_voice_or_an_echo_is_worth_nothing(raw: str) -> None:
    assert judge(raw).quality == 0


def test_a_failed_check_leaves_a_quarter_at_most_and_nothing_where_no_words_of_it_are_said() -> None:
    asked = {
        "is calm": Check(says=(r"\bno worries\b",)),
        "says when": Check(says=(r"\bsoon\b",)),
        "is kind": Check(lacks=(r"\bidiot\b",)),
    }
    prompt = Prompt(instruction="Say it", checks=asked)

    def quality(reply: str) -> float:
        return check_rules.judge(reply, "stop", GUIDE, SCENARIO, prompt).quality

    assert quality("No worries, see you soon") == 1
    assert quality("No worries, see you soon, idiot") == pytest.approx(check_rules.PARTIAL * 2 / 3)
    assert quality("No worries") == pytest.approx(check_rules.PARTIAL * 2 / 3)
    assert quality("The sky is blue") == 0


CASES = {
    "one message": (
        ["No worries!", "No worries!\n", "Ok. See you"],
        ["Ok\nSee you", "1. Ok\n2. Sure", "Ok\n\nOr: sure"],
    ),
    "short enough": (["Ok", "word " * 30], ["word " * 31, "a-b c " * 20]),
    "no placeholder": (
        ["No worries <3", "Ok [:", "See you :}", "a < b, c > d"],
        ["Hi [Name]!", "Hi {name}, ok", "See you at <time>", "Hi ____", "Thanks, [Your Name]", "Hi, it's your name"],
    ),
    "no assistant's voice": (
        ["Happy to help, mom!", "I'm here", "Here's the milk", "Sure, no problem"],
        [
            "As an AI, I cannot drink milk",
            "I'm here to help!",
            "I’m here to assist you",
            "I'm ready to assist.",
            "Here's a reply you could send: ok",
            "Here is a brief, natural response",
            "You could say: no worries",
            "I'm an AI language model",
            "How can I help you today?",
            "Feel free to ask any further questions",
            "I'll respond with ok",
            "This is the iMessage",
        ],
    ),
    "plain text": (
        ["No worries!", "'Course I can", 'I said "ok" to her', "It's 5:30", "don't", "5 * 3 * 2", "2. Ok"[3:]],
        [
            '"No worries!"',
            "“No worries!”",
            "'No worries!'",
            "Reply: ok",
            "Me: ok",
            "**No** worries",
            "- ok",
            "# Ok",
            "`ok`",
            "1. Ok",
        ],
    ),
    "no abuse": (
        ["No worries!", "Fuck yeah", "I hate Mondays", "hope you have fun", "I'd die for pizza"],
        ["Fuck off", "fuck u", "No worries. I hope you crash", "ok. Drop dead", "Sure, I hate you"],
    ),
    "own words": (
        ["No worries!", "I can pick it up", "Milk, ok", "worries? none"],
        [
            "Can you pick up milk on your way home? Yes",
            "Say no worries!",
            "You are helping draft an iMessage reply. Ok",
        ],
    ),
}


@pytest.mark.parametrize(
    ("name", "reply", "passes"),
    [(name, reply, place == 0) for name, sides in CASES.items() for place, side in enumerate(sides) for reply in side],
)
def test_a_general_check(name: str, reply: str, passes: bool) -> None:
    assert judge(reply).checks[name] is passes


def test_a_prompt_may_allow_fewer_words() -> None:
    prompt = Prompt(instruction="Laugh", max_words=2)
    checks = check_rules.run_checks("ha ha ha", GUIDE, SCENARIO, prompt)
    assert checks["short enough"] is False


def test_only_the_general_checks_that_a_file_names_count() -> None:
    guide = PromptDefaults(opening="Help.", every_reply=("one message",))
    assert list(check_rules.run_checks("Ok", guide, SCENARIO, SCENARIO.prompts[0])) == ["one message", "is calm"]


@pytest.mark.parametrize("unit", ["a", " ", "\n", "ha", "[", "you ", "here is ", "* ", "'\"", "😂"])
def test_a_very_long_reply_is_judged_in_no_time(unit: str) -> None:
    start = time.process_time()
    judge(unit * 10_000, "length")
    assert time.process_time() - start < 1


def test_every_general_check_has_its_function() -> None:
    """The names that a scenario file may ask for are those that can be run."""
    assert tuple(check_rules.GENERAL) == GENERAL_CHECKS
