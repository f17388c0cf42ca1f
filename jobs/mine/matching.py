"""How mined templates do under the matcher: tiers, triggers and thresholds, and what they were worth at the origins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jarvisd.plugin import JobFailed
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.matching import subjects
from jobs.lib.matching.normalise import normal
from jobs.lib.reviews import cards
from jobs.mine import backtest, baseline, drafting, reviewed, rolling_origin
from jobs.mine.answers import Places
from jobs.mine.backtest import MatchData, Trial
from jobs.mine.baseline import Manual, ManualSet
from jobs.mine.candidates import Candidates
from jobs.mine.coverage import Vectors
from jobs.mine.drafting import Drafting
from jobs.mine.inputs import Messages, Task
from jobs.mine.rolling_origin import Coverage
from jobs.mine.tiers import Calibrated


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Results under the matcher; where there was none, every template is of the phrase tier."""

    problem: str = ""  #: why nothing could be measured, "" where it was
    fingerprint: str | None  #: of the matcher; None where it is not on disk
    trials: list[Trial]  #: one per origin that has all three parts
    deployed: Calibrated | None  #: what may be sent from now on
    drafting: Drafting | None  #: the ranker, and its drafts on the newest part
    manual: list[Manual]  #: the owner's present templates
    manual_problem: str
    manual_vectors: Vectors  #: (m, d) of their replies


def match(task: Task, messages: Messages, candidates: Candidates, coverage: Coverage) -> Matching:
    """Calibrate on the newest tenth for what is deployed, and measure the same calibration at the origins."""
    manual, manual_problem = _manual_templates(task)
    replies = task.embed(task.encoder, [normal(template.reply) for template in manual])
    matcher, problem = _open_matcher(task, messages)
    data = None
    if matcher is not None and not problem:
        data = _match_data(task, messages, candidates, matcher, _manual_set(task, matcher, manual, replies))
    return Matching(
        problem=problem,
        fingerprint=matcher.fingerprint if matcher else None,
        trials=_trials(task, data, coverage) if data else [],
        deployed=_deployed(data, coverage) if data else None,
        drafting=_drafting(task, data, coverage, matcher) if data and matcher else None,
        manual=manual,
        manual_problem=manual_problem,
        manual_vectors=replies,
    )


def _open_matcher(task: Task, messages: Messages) -> tuple[Encoder | None, str]:
    """The matcher, None where it is not on disk; and why nothing can be measured, "" where it can."""
    try:
        matcher = task.open(task.matcher)
    except JobFailed as missing:
        return None, f"no tiers were measured: {missing.what}"
    if matcher.fingerprint == task.encoder.fingerprint:
        matcher = task.encoder
    if not messages.turns.texts:
        return matcher, "no tiers were measured: no incoming message stands before a reply"
    return matcher, ""


def _drafting(task: Task, data: MatchData, coverage: Coverage, matcher: Encoder) -> Drafting:
    parts = reviewed.set_aside(data.turns, *_newest(data), cards.reviewed_turns())
    return drafting.draft(task, data, coverage.chosen, parts, matcher)


def _newest(data: MatchData) -> tuple[Places, Places]:
    """The turns of the oldest nine tenths, and those of the newest tenth."""
    n = len(data.corpus.ids)
    begin = round(n * (1 - rolling_origin.SPAN))
    return data.turns.past(begin), data.turns.within(begin, n, n)


def _match_data(
    task: Task, messages: Messages, candidates: Candidates, matcher: Encoder, manual: ManualSet | None
) -> MatchData:
    return MatchData(
        corpus=messages.corpus,
        turns=messages.turns,
        may_trigger=messages.may_trigger,
        given=drafting.given(messages.turns.asked, lambda texts: task.embed(matcher, texts)),
        may_draft=np.array([subjects.sensitive(text) is None for text in messages.turns.shown], dtype=np.bool_),
        vectors=candidates.vectors,
        near=candidates.near,
        similarity=task.section.similarity,
        precision=task.section.precision,
        manual=manual,
    )


def _trials(task: Task, data: MatchData, coverage: Coverage) -> list[Trial]:
    origins = [origin for origin in coverage.origins if origin.share in rolling_origin.TRIALS]
    return backtest.trials(data, origins, task.context.should_stop)


def _deployed(data: MatchData, coverage: Coverage) -> Calibrated:
    """Triggers from the oldest nine tenths, tiers and thresholds from the newest.

    A template that the oldest nine tenths would not have given was chosen with the newest before its eyes: it is a
    phrase until the next tenth bears it out.
    """
    past, newest = _newest(data)
    earlier = next((origin.chosen for origin in coverage.origins if origin.share == rolling_origin.ORIGINS[-1]), None)
    known = coverage.chosen if earlier is None else earlier
    return backtest.calibrated(data, coverage.chosen, past, newest, np.isin(coverage.chosen, known))


def _manual_templates(task: Task) -> tuple[list[Manual], str]:
    """The owner's present templates, and why their file could not be read; that costs only this comparison."""
    if task.section.manual is None:
        return [], ""
    try:
        return baseline.load(Path(task.section.manual)), ""
    except JobFailed as failure:
        return [], f"your present templates were not measured: {failure.what}"


def _manual_set(task: Task, matcher: Encoder, manual: list[Manual], replies: Vectors) -> ManualSet | None:
    if not manual:
        return None
    triggers = [(number, normal(text)) for number, template in enumerate(manual) for text in template.triggers]
    return ManualSet(
        templates=manual,
        replies=replies,
        triggers=task.embed(matcher, [text for _, text in triggers]),
        owners=np.array([number for number, _ in triggers], dtype=np.int32),
    )
