"""How a night's budget is spent: which models get which prompts in the next round, or why there is none.

Round 1 is the plain comparison: every prompt once, every model. Round 2 asks each prompt again and brings the first
turns of the owner's history; every later round brings more turns. A model is left out once it is behind the leader
beyond chance, by the rule of the verdict (the paired interval under 0, and p after Holm). What it answered stays in the
comparison: where later rounds change the leader or the spread it can end among the tied, and the verdict then says that
it was not asked again. Two stay to the end. Models go in reverse order every other round, so that heat and a full
memory do not fall on the same one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jarvisd.plugin import Job, JobSpec, Run, blas_environment
from jobs.lib import stats
from jobs.lib.comparison import replies as run_replies
from jobs.lib.comparison import scores, snapshot, verdict
from jobs.lib.comparison.pairwise import in_words
from jobs.lib.comparison.replies import Replies
from jobs.lib.evaluate_task import EvaluateTask
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.results.tables import HeldOutTurn, ModelLoad

#: What a run's snapshot means where it does not say: the defaults of the `evaluate` section.
DEFAULTS: dict[str, Any] = {"samples": 1, "rounds": 1, "more_samples": 4, "turns": 40}

LEAST_TURNS = 8  #: a round that brings fewer is not worth its loading times
LEAST_MODELS = 2

# Seconds that things take where this run has not measured them, on the careful side.
RESERVE_S = 60  #: for what goes wrong; the time that the report needs is not in `seconds_left`
PREPARING_S = 60  #: the job `turns`
MEASURING_S = 60  #: the job `layers`
JUDGING_S = 300
STARTING_S = 15  #: a process and its imports
LOADING_S = 60
REPLY_S = 5.0
WITH_LIKELIHOOD = 1.5  #: a real turn also costs the prefill that gives bits per character
IN_A_BATCH = 0.5  #: a batched reply takes at most half the time of one alone

Jobs = tuple[tuple[str, JobSpec], ...]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The jobs of the next round, empty where there is none, and why."""

    why: str
    jobs: tuple[tuple[str, JobSpec], ...] = ()


def propose(run_id: str, round_: int, seconds_left: float) -> Proposal:
    """What round `round_` + 1 should do within `seconds_left`, which is infinite without a deadline."""
    run: Run = Run.get_by_id(run_id)
    plan = DEFAULTS | snapshot.section(run.snapshot)
    if not plan.get("models"):
        return Proposal(why="no further round: the plan compares no models")
    if plan["rounds"] != "auto" and round_ >= plan["rounds"]:
        return Proposal(why=f"no further round: the plan asks for {plan['rounds']}")
    field = _field(run, round_)
    if len(field.survivors) < LEAST_MODELS:
        return Proposal(why=f"no further round: {len(field.survivors)} of {len(field.rows)} models can go on")
    ahead = _RoundPlanner(plan=plan, round=round_ + 1, field=field, start=_asked(run_id), there=_turns(run_id))
    return ahead.propose(seconds_left - RESERVE_S)


# ------------------------------------------------------------------------------------------------- who goes on


@dataclass(frozen=True, kw_only=True)
class Contestants:
    """The models of a run: who goes on, who does not and why, and what a reply costs each."""

    rows: Mapping[str, Job]  #: the jobs of round 1 by model, in the order of the plan
    survivors: Sequence[str]  #: in the order of the plan
    left_out: Mapping[str, str]
    load_s: Mapping[str, float]
    reply_s: Mapping[str, float]


def _field(run: Run, round_: int) -> Contestants:
    first = Job.select().where(Job.run == run, Job.kind == "evaluate", Job.round == 1).order_by(Job.place)
    rows = {str(job.params["model"]): job for job in first if isinstance(job.params, dict) and "model" in job.params}
    replies = Replies(run.id)
    gone = dict(snapshot.left_out(run.id)) | _no_usable_reply(rows, replies) | snapshot.broken(run.id, round_)
    gone |= _significantly_worse(run, replies, [key for key in rows if key not in gone], gone)
    return Contestants(
        rows=rows,
        survivors=[key for key in rows if key not in gone],
        left_out=gone,
        load_s={key: _load_s(run.id, key) for key in rows},
        reply_s={key: _reply_s(replies, key) for key in rows},
    )


def _no_usable_reply(rows: Mapping[str, Job], replies: Replies) -> dict[str, str]:
    """Models that gave no usable reply."""
    silent = (key for key in rows if not any(row.success for row in replies.by_model.get(key, ())))
    return dict.fromkeys(silent, "it gave no usable reply")


def _significantly_worse(run: Run, replies: Replies, keys: Sequence[str], gone: Mapping[str, str]) -> dict[str, str]:
    """Of the models that could go on, those that need not: the worst first, as long as two remain."""
    rules = scores.rules(run.snapshot)
    figures = {key: scores.figures(key, replies, _loadings(run.id, key), rules.layers) for key in replies.by_model}
    found = verdict.find(
        {key: replies.scores(key, rules.layers) for key in replies.by_model},
        {},
        gated={key: scores.failed_gates(figures[key], rules.gates) for key in figures},
        left_out=gone,
    )
    left: dict[str, str] = {}
    for key in reversed([key for key in found.ranking if key in keys]):
        if len(keys) - len(left) <= LEAST_MODELS:
            break
        why = _cannot_pass_gate(figures[key], rules.gates) or _clearly_behind(found, key)
        if why:
            left[key] = why
    return left


def _cannot_pass_gate(figures: Mapping[str, Any], limits: Mapping[str, float | None]) -> str:
    """Why a model will not pass a gate any more, or ""; a peak never falls, and a rate has its interval."""
    least, most = limits.get("success"), limits.get("memory_mb")
    likely, peak = figures["success_rate_ci"], figures["peak_memory_mb"]
    if least is not None and likely is not None and likely[1] < least:
        return (
            f"{figures['successes']} of {figures['total_tests']} replies usable, at most {100 * likely[1]:.0f} % likely"
        )
    if most is not None and peak is not None and peak > most:
        return f"its peak of {peak:.0f} MB is over {most:.0f} MB"
    return ""


def _clearly_behind(found: verdict.Finding, key: str) -> str:
    """Why the numbers leave a model no chance against the leader, or ""."""
    leader = found.ranking[0]
    pair = found.between(leader, key)
    gap = pair.lead(leader) if pair is not None and pair.separated else None
    if pair is None or gap is None or gap.low is None or gap.high is None or not gap.above_zero:
        return ""
    interval = f"95 % interval {gap.low:.2f} to {gap.high:.2f}"
    return f"{gap.mean:.2f} behind {leader} ({interval}, {in_words(pair.p_holm)} after Holm)"


def _loadings(run_id: str, key: str) -> list[ModelLoad]:
    return list(ModelLoad.select().where(ModelLoad.run == run_id, ModelLoad.model == key))


def _load_s(run_id: str, key: str) -> float:
    """The slowest loading so far with its first reply."""
    took = [row.load_time_s + (row.first_reply_ms or 0) / 1000 for row in _loadings(run_id, key)]
    return max(took, default=LOADING_S)


def _reply_s(replies: Replies, key: str) -> float:
    rows = replies.by_model.get(key, ())
    typical = stats.median(run_replies.known(row.latency_ms for row in rows if not row.batched))
    return typical / 1000 if typical else REPLY_S


# ------------------------------------------------------------------------------------------------ what they are asked


def _turns(run_id: str) -> int:
    """Turns of the owner's history that the run has chosen."""
    return int(HeldOutTurn.select().where(HeldOutTurn.run == run_id).count())


def _asked(run_id: str) -> int:
    """The first place of RealTurn that no job was given yet."""
    rows = Job.select().where(Job.run == run_id, Job.kind == "evaluate")
    return max((row.params["turns"][1] for row in rows if row.params.get("turns")), default=0)


@dataclass(frozen=True, kw_only=True)
class _RoundPlanner:
    """The next round, not yet sized."""

    plan: Mapping[str, Any]
    round: int
    field: Contestants
    start: int  #: first place of RealTurn to be asked
    there: int  #: turns that the run has; the second round does not know yet

    def propose(self, seconds: float) -> Proposal:
        wanted = self._wanted()
        if self.round > 2 and not wanted:
            return Proposal(why="no further round: there are no further turns to ask")
        least = min(LEAST_TURNS, wanted)
        for samples in range(self.plan["more_samples"] if self.round == 2 else 0, -1, -1):
            turns = min(wanted, self._affordable(seconds, samples))
            if turns >= least and (turns or samples):
                return self._sized(samples, turns)
        if self.round == 2 and not wanted and not self.plan["more_samples"]:
            return Proposal(why="no further round: the plan has nothing more to ask")
        return Proposal(
            why=f"no further round: {max(0.0, seconds) / 60:.0f} min are too short for {least or 'its'} turns"
        )

    def _wanted(self) -> int:
        """Turns that this round may ask at most."""
        planned = int(self.plan["turns"])
        return planned if self.round == 2 else min(planned, max(0, self.there - self.start))

    def _fixed_s(self, samples: int) -> float:
        """Time that the round takes before its first turn."""
        field = self.field
        again = samples * _prompts(self.plan) * IN_A_BATCH
        each = math.fsum(STARTING_S + field.load_s[key] + again * field.reply_s[key] for key in field.survivors)
        preparing = PREPARING_S if self.round == 2 else 0
        return each + preparing + MEASURING_S + (JUDGING_S if self.plan.get("judge") else 0)

    def _turn_s(self) -> float:
        """Time that one further turn takes all survivors."""
        return WITH_LIKELIHOOD * math.fsum(self.field.reply_s[key] for key in self.field.survivors)

    def _affordable(self, seconds: float, samples: int) -> int:
        """How many turns fit; -1 where not even the rest does."""
        if math.isinf(seconds):
            return int(self.plan["turns"])
        free = seconds - self._fixed_s(samples)
        return -1 if free < 0 else math.floor(free / self._turn_s())

    def estimate_s(self, samples: int, turns: int) -> float:
        return self._fixed_s(samples) + turns * self._turn_s()

    def _sized(self, samples: int, turns: int) -> Proposal:
        order = list(self.field.survivors)[:: -1 if self.round % 2 == 0 else 1]
        jobs = [self._model_job(key, samples, turns) for key in order]
        first = [_spec("turns", {"task": EvaluateTask.PREPARE}, 600, 1800)] if self.round == 2 else []
        asked = " and ".join(
            part
            for part in (f"{samples} more samples of each prompt" * bool(samples), f"{turns} turns" * bool(turns))
            if part
        )
        minutes = self.estimate_s(samples, turns) / 60
        why = f"round {self.round}: {len(order)} models, {asked} each, about {minutes:.0f} min"
        return Proposal(why=why, jobs=(*first, *jobs, *self._last()))

    def _model_job(self, key: str, samples: int, turns: int) -> tuple[str, JobSpec]:
        row, done = self.field.rows[key], int(self.plan["samples"])
        params: dict[str, Any] = {
            "task": EvaluateTask.REPLIES,
            "model": key,
            "turns": [self.start, self.start + turns],
        }
        if samples:
            params["samples"] = [done + 1, done + samples]
        replies = samples * _prompts(self.plan) + turns
        patience = LOADING_S * 10 + math.ceil(10 * replies * self.field.reply_s[key])
        spec = JobSpec(
            name=row.name,
            params=params,
            memory_mb=row.memory_mb,
            timeout_s=max(row.timeout_s or 0, patience),
            attempts=row.max_attempts,
            env=row.env,
        )
        return "evaluate", spec

    def _last(self) -> Jobs:
        """The judge, if any, and the job that measures all replies. It also keeps who was left out, and why."""
        judge = self.plan.get("judge")
        layers = {"task": EvaluateTask.METRICS, "left_out": dict(self.field.left_out)}
        last = _spec("layers", layers, 1200 if self.plan.get("meaning") else 400, 3600)
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
    )


def _spec(name: str, params: dict[str, Any], memory_mb: int, timeout_s: int) -> tuple[str, JobSpec]:
    return "evaluate", JobSpec(name=name, params=params, memory_mb=memory_mb, timeout_s=timeout_s)


def _prompts(plan: Mapping[str, Any]) -> int:
    """Prompts of the plan's scenarios."""
    return sum(len(scenario.get("prompts") or ()) for scenario in plan.get("scenarios") or ())
