"""What a reply is worth, from both readers: the checks and the examples. No database and no language model.

The examples weigh the checks' results among their signs (reader.py), so the second reader's value already holds both;
the general checks then decide whether the reply could be sent at all. Where a prompt has too few examples, the checks
alone count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.evaluate import checks as rules
from jobs.evaluate.reader import Encode, Reader, Text
from jobs.evaluate.scenarios import Prompt, ResolvedScenarios, Scenario


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply as a model wrote it, and the prompt it answers."""

    scenario: Scenario
    prompt: Prompt
    raw: str
    finish_reason: str | None = "stop"


@dataclass(frozen=True, kw_only=True)
class ReplyScore:
    """What a reply is worth, and why."""

    value: float  #: 0..1
    checks: dict[str, bool]
    checks_value: float  #: 0..1, by the checks alone
    reader: float | None  #: 0..1, by the examples alone; None where the prompt has none
    disagreement: float | None  #: how far the two lie apart, 0..1
    failure: str | None


class Scorer:
    """scorer = Scorer(sheet, encode); scorer.score(answers) -> one ReplyScore per answer, in their order"""

    def __init__(self, sheet: ResolvedScenarios, encode: Encode | None = None) -> None:
        """Without `encode` the second reader compares spelling and words, and no meaning."""
        self._guide, self._reader = sheet.guide, Reader(sheet, encode)

    def score(self, answers: Sequence[Answer]) -> list[ReplyScore]:
        verdicts = [rules.judge(a.raw, a.finish_reason, self._guide, a.scenario, a.prompt) for a in answers]
        texts = [Text(a.scenario.id, a.prompt.instruction, v.reply) for a, v in zip(answers, verdicts, strict=True)]
        readings = self._reader.read(texts)
        return [self._combine(verdict, reading) for verdict, reading in zip(verdicts, readings, strict=True)]

    def _combine(self, verdict: rules.Verdict, reading: float | None) -> ReplyScore:
        value, apart = verdict.quality, None
        if reading is not None:
            sendable = 0.0 if verdict.failure else rules.form(verdict.checks, self._guide)
            value = sendable * reading
            apart = abs(verdict.quality - value)
        return ReplyScore(
            value=value,
            checks=verdict.checks,
            checks_value=verdict.quality,
            reader=reading,
            disagreement=apart,
            failure=verdict.failure,
        )


def score(
    reply: str, scenario: Scenario, prompt: Prompt, sheet: ResolvedScenarios, encode: Encode | None = None
) -> ReplyScore:
    """One reply. Fits the reader anew: for several replies make one Scorer."""
    return Scorer(sheet, encode).score([Answer(scenario=scenario, prompt=prompt, raw=reply)])[0]
