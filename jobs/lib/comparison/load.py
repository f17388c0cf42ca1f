"""Everything that the comparison of a run reads from the database: one read per table, as frozen dataclasses."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from jarvisd.plugin import Job, Run, Status, machine_names
from jobs.lib.comparison import rules
from jobs.lib.comparison.rules import Rules
from jobs.lib.models import jarvis
from jobs.lib.results.tables import (
    REAL_TURNS,
    Cause,
    HeldOutTurn,
    LeftOut,
    ModelLoad,
    ReferenceScore,
    Reply,
    Score,
    TrainTestSplit,
    Vote,
)

#: With less time left than this, an automatic plan is taken to be in its last round.
NEAR_DEADLINE = dt.timedelta(hours=1)

#: Job statuses after which a model is not asked to the end.
_BROKEN = {Status.FAILED: Cause.JOB_FAILED, Status.CANCELLED: Cause.JOB_CANCELLED}


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """A job of the kind `evaluate`; `model` is None for the jobs that measure, judge or prepare."""

    id: int
    name: str
    round: int
    place: int
    status: Status
    params: Mapping[str, Any]
    memory_mb: int
    timeout_s: int | None
    max_attempts: int | None
    env: dict[str, str]  #: environment variables of its process
    machine: str | None = None  #: id of the one that ran it last

    @property
    def model(self) -> str | None:
        return str(self.params["model"]) if "model" in self.params else None


@dataclass(frozen=True, kw_only=True)
class ReplyRow:
    """A row of the table Reply without the exact prompt, with its scores; see jobs.lib.results.tables.Reply."""

    id: int
    round: int
    model: str
    scenario_id: str
    prompt: int
    sample: int
    context: str
    instruction: str
    seed: int
    reply: str
    thinking: int
    success: bool
    failure: str | None
    checks: Any
    quality: float
    batched: bool
    tokens: int | None
    ttft_ms: float | None
    latency_ms: float | None
    inter_token_ms: float | None
    tokens_per_second: float | None
    characters_per_second: float | None
    finish_reason: str | None
    peak_memory_mb: float | None
    bits_per_character: float | None
    created_at: dt.datetime
    metrics: Mapping[str, float] = field(default_factory=dict)  #: style, meaning: name -> 0..1

    @property
    def is_real(self) -> bool:
        """Whether it answers a turn of the owner's history."""
        return self.scenario_id == REAL_TURNS


@dataclass(frozen=True, kw_only=True)
class TurnRow:
    """A held-out turn."""

    place: int
    chat: int  #: number of the conversation
    answer: str


@dataclass(frozen=True, kw_only=True)
class LoadRow:
    """One loading of a model."""

    model: str
    round: int
    job: int
    info: Mapping[str, Any]
    load_time_s: float
    load_peak_mb: float | None
    first_reply_ms: float | None
    process_mb: float | None
    conditions: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class VoteRow:
    """A vote between two replies, left and right as they were shown."""

    by: str
    left: int  #: id of the reply
    right: int
    choice: str


@dataclass(frozen=True, kw_only=True)
class SplitRow:
    """The instant that divides the owner's history."""

    at: dt.datetime
    own_before: int
    turns_after: int
    chosen: int


@dataclass(frozen=True, kw_only=True)
class ReferenceRow:
    """A metric measured on people."""

    metric: str
    reference: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class LeftOutRow:
    """Why later rounds no longer ask a model. `details` holds the numbers of the cause."""

    cause: Cause
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ComparisonData:
    """What a run has stored for its comparison."""

    run_id: str
    created_at: dt.datetime
    evaluate: Mapping[str, Any]  #: the plan's section; empty where the plan compares nothing
    rules: Rules
    present_model: str | None  #: key of the model in use, where the plan or JARVIS's own settings say so
    in_jarvis: str | None = None  #: what JARVIS calls its model; None where its settings were not read
    jobs: tuple[JobRow, ...]  #: by round, then place
    replies: tuple[ReplyRow, ...]  #: in the order of the scenarios, then the real turns
    turns: Mapping[int, TurnRow]  #: by place
    loads: tuple[LoadRow, ...]  #: by round
    votes: tuple[VoteRow, ...]  #: in the order in which they were given
    split: SplitRow | None
    references: tuple[ReferenceRow, ...]
    left_out: Mapping[str, LeftOutRow]  #: by model, as the newest round has it
    deadline: dt.datetime | None = None
    #: Model -> name of the machine that ran it, where several share the database; a model stays on one.
    machines: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_spread(self) -> bool:
        """Whether the models ran on several machines, so that no time of one can be compared with another's."""
        return _is_spread(self.machines)

    @property
    def newest_round(self) -> int:
        return max((job.round for job in self.jobs), default=1)

    @property
    def is_last(self) -> bool:
        """Whether no further round will come, as far as the rows tell: the plan ends, or the deadline is near."""
        rounds = self.evaluate.get("rounds", rules.ROUNDS["rounds"])
        if rounds != "auto":
            return self.newest_round >= int(rounds)
        if self.newest_round > 1 and self._asked_turns >= len(self.turns):
            return True
        newest = max((row.created_at for row in self.replies), default=self.created_at)
        return self.deadline is not None and newest >= self.deadline - NEAR_DEADLINE

    @property
    def _asked_turns(self) -> int:
        """Turns that the jobs of all rounds were given."""
        return max((job.params["turns"][1] for job in self.jobs if job.params.get("turns")), default=0)

    @property
    def models(self) -> list[str]:
        """Every model that was loaded or gave replies: in the order of the plan, then those it does not name."""
        planned = [entry["key"] for entry in planned_models(self.evaluate)]
        seen = dict.fromkeys([*(row.model for row in self.loads), *(row.model for row in self.replies)])
        return [key for key in planned if key in seen] + [key for key in seen if key not in planned]

    @property
    def present(self) -> str | None:
        """The model in use: the one that the plan names, else JARVIS's, else the first of the plan."""
        if self.present_model is not None:
            return self.present_model
        return next((entry["key"] for entry in planned_models(self.evaluate)), None)

    @property
    def not_compared_in_jarvis(self) -> str | None:
        """What JARVIS calls its model, where that is none of the plan's and the plan names no other one as in use."""
        return self.in_jarvis if self.present_model is None else None

    def replies_of(self, model: str) -> list[ReplyRow]:
        return [row for row in self.replies if row.model == model]

    def loads_of(self, model: str) -> list[LoadRow]:
        return [row for row in self.loads if row.model == model]

    def broken(self, last: int | None = None) -> dict[str, LeftOutRow]:
        """Models with a job that failed or was cancelled, in a round up to `last`."""
        return {
            job.model: LeftOutRow(cause=_BROKEN[job.status], details={"round": job.round})
            for job in self.jobs
            if job.model is not None and job.status in _BROKEN and (last is None or job.round <= last)
        }


def load(run_id: str) -> ComparisonData:
    """Everything of the run. Raises peewee.DoesNotExist for an unknown one."""
    run: Run = Run.get_by_id(run_id)
    evaluate, report = (plan_section(run.snapshot, name) for name in ("evaluate", "report"))
    jobs = _jobs(run_id)
    machines = _machines(jobs)
    return ComparisonData(
        run_id=run_id,
        created_at=run.created_at,
        evaluate=evaluate,
        rules=rules.of_plan(report, has_times=not _is_spread(machines)),
        present_model=_present(report, evaluate),
        in_jarvis=report.get("in_jarvis"),
        jobs=jobs,
        replies=_replies(run_id, [str(entry.get("id")) for entry in planned_scenarios(evaluate)]),
        turns=_turns(run_id),
        loads=_loads(run_id, {job.id: job.round for job in jobs}),
        votes=_votes(run_id),
        split=_split(run_id),
        references=_references(run_id),
        left_out=_left_out(run_id, max((job.round for job in jobs), default=0)),
        deadline=run.deadline,
        machines=machines,
    )


def _is_spread(machines: Mapping[str, str]) -> bool:
    return len(set(machines.values())) > 1


def _machines(jobs: tuple[JobRow, ...]) -> dict[str, str]:
    ran = {job.model: job.machine for job in jobs if job.model is not None and job.machine is not None}
    names = machine_names() if ran else {}
    return {model: names[machine] for model, machine in ran.items() if machine in names}


# -------------------------------------------------------------------------------------------------- the plan


def _present(report: Mapping[str, Any], evaluate: Mapping[str, Any]) -> str | None:
    """The model that the plan names, else the one of its models that JARVIS was set to; None where it is neither."""
    if report.get("present") is not None or not report.get("in_jarvis"):
        return report.get("present")
    return jarvis.key_of(str(report["in_jarvis"]), planned_models(evaluate))


def plan_section(snapshot: Any, name: str) -> dict[str, Any]:
    """A section of the plan in a run's snapshot; empty where there is none."""
    plan = snapshot.get("plan") if isinstance(snapshot, dict) else None
    section = plan.get(name) if isinstance(plan, dict) else None
    return section if isinstance(section, dict) else {}


def planned_scenarios(evaluate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scenarios of a resolved `evaluate` section."""
    scenarios = evaluate.get("scenarios")
    return [entry for entry in scenarios if isinstance(entry, dict)] if isinstance(scenarios, list) else []


def planned_models(evaluate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model entries of a resolved `evaluate` section, each with a `key`."""
    models = evaluate.get("models")
    if isinstance(models, dict):
        models = [{"key": key, **(entry if isinstance(entry, dict) else {})} for key, entry in models.items()]
    entries = models if isinstance(models, list) else []
    named = [entry if isinstance(entry, dict) else {"key": str(entry)} for entry in entries]
    return [{**entry, "key": str(entry["key"])} for entry in named if entry.get("key")]


# -------------------------------------------------------------------------------------------------- the tables


def _jobs(run_id: str) -> tuple[JobRow, ...]:
    columns = [getattr(Job, each.name) for each in fields(JobRow)]
    rows = Job.select(*columns).where(Job.run == run_id, Job.kind == "evaluate").order_by(Job.round, Job.place, Job.id)
    return tuple(
        JobRow(**row | {"params": row["params"] if isinstance(row["params"], dict) else {}}) for row in rows.dicts()
    )


def _replies(run_id: str, order: list[str]) -> tuple[ReplyRow, ...]:
    metrics: dict[int, dict[str, float]] = defaultdict(dict)
    for score in Score.select().join(Reply).where(Reply.run == run_id):
        metrics[score.reply_id][score.metric] = score.value
    columns = [getattr(Reply, each.name) for each in fields(ReplyRow) if each.name != "metrics"]
    rows = Reply.select(*columns).where(Reply.run == run_id).order_by(Reply.id).dicts()
    replies = [ReplyRow(**row, metrics=metrics.get(row["id"], {})) for row in rows]
    place = {scenario: number for number, scenario in enumerate(order)}
    replies.sort(
        key=lambda row: (
            row.is_real,
            place.get(row.scenario_id, len(place)),
            row.scenario_id,
            row.prompt,
            row.sample,
            row.created_at,
        )
    )
    return tuple(replies)


def _turns(run_id: str) -> dict[int, TurnRow]:
    rows = HeldOutTurn.select().where(HeldOutTurn.run == run_id).order_by(HeldOutTurn.place)
    return {row.place: TurnRow(place=row.place, chat=row.chat, answer=row.answer) for row in rows}


def _loads(run_id: str, rounds: Mapping[int, int]) -> tuple[LoadRow, ...]:
    rows = [
        LoadRow(
            model=row.model,
            round=rounds.get(row.job_id, 1),
            job=row.job_id,
            info=row.info if isinstance(row.info, dict) else {},
            load_time_s=row.load_time_s,
            load_peak_mb=row.load_peak_mb,
            first_reply_ms=row.first_reply_ms,
            process_mb=row.process_mb,
            conditions=row.conditions if isinstance(row.conditions, dict) else {},
        )
        for row in ModelLoad.select().where(ModelLoad.run == run_id)
    ]
    return tuple(sorted(rows, key=lambda row: (row.round, row.job)))


def _votes(run_id: str) -> tuple[VoteRow, ...]:
    rows = Vote.select().where(Vote.run == run_id).order_by(Vote.id)
    return tuple(VoteRow(by=row.by, left=row.left_id, right=row.right_id, choice=row.choice) for row in rows)


def _split(run_id: str) -> SplitRow | None:
    row = TrainTestSplit.get_or_none(TrainTestSplit.run == run_id)
    if row is None:
        return None
    return SplitRow(at=row.at, own_before=row.own_before, turns_after=row.turns_after, chosen=row.chosen)


def _references(run_id: str) -> tuple[ReferenceRow, ...]:
    rows = ReferenceScore.select().where(ReferenceScore.run == run_id)
    return tuple(
        ReferenceRow(metric=row.metric, reference=row.reference, value=row.value, low=row.low, high=row.high, n=row.n)
        for row in rows.order_by(ReferenceScore.metric, ReferenceScore.reference)
    )


def _left_out(run_id: str, newest: int) -> dict[str, LeftOutRow]:
    """Of the newest round that has begun: rows of a round that was proposed and never stored do not count."""
    rows = LeftOut.select().where(LeftOut.run == run_id, LeftOut.round <= newest).order_by(LeftOut.id)
    last = max((row.round for row in rows), default=0)
    return {row.model: LeftOutRow(cause=Cause(row.cause), details=row.details) for row in rows if row.round == last}
