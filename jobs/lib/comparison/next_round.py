"""How a night's budget is spent: which models get which prompts in the next round, or why there is none.

Round 1 is the plain comparison: every prompt once, every model. Round 2 asks each prompt again and brings the first
turns of the owner's history; every later round brings more turns. A model is left out once it has hardly a chance to
come near the best (elimination.py). What it answered stays in the comparison: where later rounds change the leader or
the spread it can end among the tied, and the explanation then says that it was not asked again. Two and the present
model stay to the end. Models go in reverse order every other round, so that heat and a
full memory do not fall on the same one.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jarvisd.plugin import JobSpec, RunsOn, blas_environment
from jobs.lib import stats
from jobs.lib.comparison import elimination, pairwise, scores
from jobs.lib.comparison.load import ComparisonData, JobRow, LeftOutRow, planned_models
from jobs.lib.comparison.pairwise import Pairwise
from jobs.lib.comparison.rules import ROUNDS
from jobs.lib.comparison.scores import Gate, ModelFigures, ModelScores
from jobs.lib.evaluate_task import EvaluateTask
from jobs.lib.models import here
from jobs.lib.models.catalogue import ModelEntry, source
from jobs.lib.results.tables import Cause

LEAST_TURNS = 8  #: a round that brings fewer is not worth its loading times
LEAST_MODELS = 2

# Seconds that things take where this run has not measured them, on the careful side.
RESERVE_S = 60  #: for what goes wrong; the time that the report needs is not in `seconds_left`
PREPARING_S = 60  #: the job `turns`
MEASURING_S = 60  #: the job `metrics`
JUDGING_S = 300
STARTING_S = 15  #: a process and its imports
LOADING_S = 60
REPLY_S = 5.0
WITH_LIKELIHOOD = 1.5  #: a real turn also costs the prefill that gives bits per character
IN_A_BATCH = 0.5  #: a batched reply takes at most half the time of one alone

Jobs = tuple[tuple[str, JobSpec], ...]


class Reason(enum.StrEnum):
    """Why there is no next round."""

    NO_MODELS = "the plan compares no models"
    PLAN_ENDS = "the plan asks for no more rounds"
    HAS_BEGUN = "the run has that round already"
    TOO_FEW_MODELS = "too few models can go on"
    NO_TURNS = "there are no further turns to ask"
    NOTHING_TO_ASK = "the plan has nothing more to ask"
    NO_TIME = "the time is too short"


@dataclass(frozen=True, kw_only=True)
class NoNextRound:
    """That no round follows, and why."""

    reason: Reason

    def __str__(self) -> str:
        return f"no further round: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The jobs of the next round, and the models that it leaves out."""

    round: int
    jobs: Jobs
    left_out: Mapping[str, LeftOutRow]
    samples: int  #: further replies per prompt
    turns: int  #: turns per model
    models: int
    estimate_s: float

    def __str__(self) -> str:
        asked = [f"{self.samples} more samples of each prompt"] * bool(self.samples)
        asked += [f"{self.turns} turns"] * bool(self.turns)
        minutes = f"about {self.estimate_s / 60:.0f} min"
        return f"round {self.round}: {self.models} models, {' and '.join(asked)} each, {minutes}"


def next_round(data: ComparisonData, round_: int, seconds_left: float) -> Proposal | NoNextRound:
    """What round `round_` + 1 should do within `seconds_left`, which is infinite without a deadline."""
    plan = {**ROUNDS, **data.evaluate}
    if not plan.get("models"):
        return NoNextRound(reason=Reason.NO_MODELS)
    if any(job.round > round_ for job in data.jobs):
        return NoNextRound(reason=Reason.HAS_BEGUN)
    if plan["rounds"] != "auto" and round_ >= plan["rounds"]:
        return NoNextRound(reason=Reason.PLAN_ENDS)
    contestants = _contestants(data, round_)
    if len(contestants.survivors) < LEAST_MODELS:
        return NoNextRound(reason=Reason.TOO_FEW_MODELS)
    planner = _RoundPlanner(
        plan=plan, round=round_ + 1, contestants=contestants, start=_asked(data), available=len(data.turns)
    )
    return planner.propose(seconds_left - RESERVE_S)


# ------------------------------------------------------------------------------------------------- who goes on


@dataclass(frozen=True, kw_only=True)
class Contestants:
    """The models of a run: which go on, which do not and why, and what a reply costs each."""

    jobs: Mapping[str, JobRow]  #: of round 1 by model, in the order of the plan
    survivors: Sequence[str]  #: in the order of the plan
    left_out: Mapping[str, LeftOutRow]
    load_s: Mapping[str, float]
    reply_s: Mapping[str, float]


def _contestants(data: ComparisonData, round_: int) -> Contestants:
    jobs = {job.model: job for job in data.jobs if job.round == 1 and job.model is not None}
    scored = scores.score(data)
    left_out = dict(data.left_out) | _no_complete_reply(jobs, scored) | data.broken(round_)
    left_out |= _eliminated(data, scored, [key for key in jobs if key not in left_out], left_out)
    return Contestants(
        jobs=jobs,
        survivors=[key for key in jobs if key not in left_out],
        left_out=left_out,
        load_s={key: _load_s(data, key) for key in jobs},
        reply_s={key: _reply_s(data, key) for key in jobs},
    )


def _no_complete_reply(jobs: Mapping[str, JobRow], scored: Mapping[str, ModelScores]) -> dict[str, LeftOutRow]:
    silent = (key for key in jobs if key not in scored or not scored[key].figures.successes)
    return dict.fromkeys(silent, LeftOutRow(cause=Cause.NO_COMPLETE_REPLY))


def _eliminated(
    data: ComparisonData, scored: Mapping[str, ModelScores], keys: Sequence[str], left_out: Mapping[str, LeftOutRow]
) -> dict[str, LeftOutRow]:
    """Eliminate models that cannot win any more, worst first; always keep two."""
    compared = pairwise.compare(
        {key: model.samples for key, model in scored.items() if model.replies},
        {key: model.failed_gates for key, model in scored.items()},
        left_out,
        weights=data.rules.measures,
        is_last=False,
    )
    hopeless = _without_a_chance(compared, keys, data.present)
    eliminated: dict[str, LeftOutRow] = {}
    for key in reversed([key for key in compared.ranking if key in keys]):
        if len(keys) - len(eliminated) <= LEAST_MODELS:
            break
        row = _cannot_pass_gate(scored[key].figures, data.rules.gates) or hopeless.get(key)
        if row:
            eliminated[key] = row
    return eliminated


def _without_a_chance(compared: Pairwise, keys: Sequence[str], present: str | None) -> dict[str, LeftOutRow]:
    """Models that have hardly a chance to come near the best; never the present one, with which others are compared."""
    belief, names = compared.belief, compared.taken.keys
    if belief is None:
        return {}
    asked = np.array([key in keys for key in names], dtype=bool)
    keep = [place for place, key in enumerate(names) if key == present]
    places = elimination.eliminated(belief, asked, keep)
    chances, best = belief.chance_near_best(), int(np.argmax(np.where(asked, belief.mean, -np.inf)))
    return {
        names[place]: LeftOutRow(
            cause=Cause.NO_CHANCE,
            details={
                "leader": names[best],
                "behind": float(belief.mean[best] - belief.mean[place]),
                "chance": float(chances[place]),
            },
        )
        for place in places
    }


def _cannot_pass_gate(figures: ModelFigures, limits: Mapping[str, float | None]) -> LeftOutRow | None:
    """Whether a model will certainly fail a gate: a peak never falls, and a rate has its interval."""
    least, most = limits.get(Gate.SUCCESS), limits.get(Gate.MEMORY)
    likely, peak = figures.success_rate_ci, figures.peak_memory_mb
    if least is not None and likely is not None and likely[1] < least:
        counts = {"successes": figures.successes, "total": figures.total_tests, "most_percent": 100 * likely[1]}
        return LeftOutRow(cause=Cause.SUCCESS_GATE, details=counts)
    if most is not None and peak is not None and peak > most:
        return LeftOutRow(cause=Cause.MEMORY_GATE, details={"peak_mb": peak, "limit_mb": most})
    return None


def _load_s(data: ComparisonData, key: str) -> float:
    """The slowest loading so far with its first reply, in seconds."""
    took = [row.load_time_s + (row.first_reply_ms or 0) / 1000 for row in data.loads_of(key)]
    return max(took, default=LOADING_S)


def _reply_s(data: ComparisonData, key: str) -> float:
    """The median time of a reply that was written alone, in seconds."""
    median = stats.median(scores.known(row.latency_ms for row in data.replies_of(key) if not row.batched))
    return median / 1000 if median else REPLY_S


# ------------------------------------------------------------------------------------------------ what they are asked


def _asked(data: ComparisonData) -> int:
    """The first place of HeldOutTurn that no job was given yet."""
    return max((job.params["turns"][1] for job in data.jobs if job.params.get("turns")), default=0)


@dataclass(frozen=True, kw_only=True)
class _RoundPlanner:
    """The next round, not yet sized."""

    plan: Mapping[str, Any]
    round: int
    contestants: Contestants
    start: int  #: first place of HeldOutTurn to be asked
    available: int  #: turns that the run has; 0 before the second round, which prepares them

    def propose(self, seconds: float) -> Proposal | NoNextRound:
        wanted = self._wanted()
        if self.round > 2 and not wanted:
            return NoNextRound(reason=Reason.NO_TURNS)
        least = min(LEAST_TURNS, wanted)
        for samples in range(self.plan["more_samples"] if self.round == 2 else 0, -1, -1):
            turns = min(wanted, self._affordable(seconds, samples))
            if turns >= least and (turns or samples):
                return self._sized(samples, turns)
        if self.round == 2 and not wanted and not self.plan["more_samples"]:
            return NoNextRound(reason=Reason.NOTHING_TO_ASK)
        return NoNextRound(reason=Reason.NO_TIME)

    def _wanted(self) -> int:
        """Turns that this round may ask at most."""
        planned = int(self.plan["turns"])
        return planned if self.round == 2 else min(planned, max(0, self.available - self.start))

    def _fixed_s(self, samples: int) -> float:
        """Time that the round takes before its first turn."""
        cost = self.contestants
        again = samples * _prompts(self.plan) * IN_A_BATCH
        each = math.fsum(STARTING_S + cost.load_s[key] + again * cost.reply_s[key] for key in cost.survivors)
        preparing = PREPARING_S if self.round == 2 else 0
        return each + preparing + MEASURING_S + (JUDGING_S if self.plan.get("judge") else 0)

    def _turn_s(self) -> float:
        """Time that one further turn takes all survivors."""
        return WITH_LIKELIHOOD * math.fsum(self.contestants.reply_s[key] for key in self.contestants.survivors)

    def _affordable(self, seconds: float, samples: int) -> int:
        """How many turns fit; -1 where not even the fixed part does."""
        if math.isinf(seconds):
            return int(self.plan["turns"])
        free = seconds - self._fixed_s(samples)
        return -1 if free < 0 else math.floor(free / self._turn_s())

    def _sized(self, samples: int, turns: int) -> Proposal:
        order = list(self.contestants.survivors)[:: -1 if self.round % 2 == 0 else 1]
        models = [self._model_job(key, samples, turns) for key in order]
        first = [_spec("turns", {"task": EvaluateTask.PREPARE}, 600, 1800)] if self.round == 2 else []
        return Proposal(
            round=self.round,
            jobs=(*first, *models, *self._last()),
            left_out=self.contestants.left_out,
            samples=samples,
            turns=turns,
            models=len(order),
            estimate_s=self._fixed_s(samples) + turns * self._turn_s(),
        )

    def _model_job(self, key: str, samples: int, turns: int) -> tuple[str, JobSpec]:
        job, done = self.contestants.jobs[key], int(self.plan["samples"])
        params: dict[str, Any] = {
            "task": EvaluateTask.REPLIES,
            "model": key,
            "turns": [self.start, self.start + turns],
        }
        if samples:
            params["samples"] = [done + 1, done + samples]
        replies = samples * _prompts(self.plan) + turns
        patience = LOADING_S * 10 + math.ceil(10 * replies * self.contestants.reply_s[key])
        spec = JobSpec(
            name=job.name,
            params=params,
            memory_mb=job.memory_mb,
            timeout_s=max(job.timeout_s or 0, patience),
            attempts=job.max_attempts,
            env=job.env,
            **self._placed(key),
        )
        return "evaluate", spec

    def _placed(self, key: str) -> dict[str, Any]:
        """Which machine may ask that model: with `spread` the one that asked it in the first round."""
        if not self.plan.get("spread"):
            return {}
        entry = next(entry for entry in planned_models(self.plan) if entry["key"] == key)
        return here.placed(ModelEntry.model_validate(entry), spread=True)

    def _last(self) -> Jobs:
        """The judge, if any, and the job that measures all replies."""
        judge = self.plan.get("judge")
        last = _spec("metrics", {"task": EvaluateTask.METRICS}, 1200 if self.plan.get("meaning") else 400, 3600)
        return (_judge(judge), last) if judge else (last,)


def _judge(judge: Any) -> tuple[str, JobSpec]:
    """The judge's job; a plan keeps its whole entry."""
    if not isinstance(judge, dict):
        return _spec("judge", {"task": EvaluateTask.JUDGE, "judge": str(judge)}, 0, 3600)
    entry = ModelEntry.model_validate(judge)
    return "evaluate", JobSpec(
        name="judge",
        params={"task": EvaluateTask.JUDGE, "judge": entry.key},
        memory_mb=entry.needs_mb,
        timeout_s=3600,
        env=blas_environment(),
        runs_on=RunsOn.SUBMITTER_OR_OTHER,
        models=(source(entry),),
    )


def _spec(name: str, params: dict[str, Any], memory_mb: int, timeout_s: int) -> tuple[str, JobSpec]:
    return "evaluate", JobSpec(name=name, params=params, memory_mb=memory_mb, timeout_s=timeout_s)


def _prompts(plan: Mapping[str, Any]) -> int:
    """Prompts of the plan's scenarios."""
    return sum(len(scenario.get("prompts") or ()) for scenario in plan.get("scenarios") or ())
