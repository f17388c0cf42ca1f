"""A night's rounds, replayed: recorded replies and times, a clock of plain numbers, a real ledger."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jarvisd.paths import Home
from jarvisd.registry import JobSpec
from jarvisd.store import database
from jarvisd.store.models import Job, Run, Status
from jobs.lib.comparison import next_round, pipeline
from jobs.lib.comparison.load import LeftOutRow, load
from jobs.lib.comparison.next_round import NoNextRound, Proposal, Reason
from jobs.lib.results.tables import REAL_TURNS, Cause, HeldOutTurn, LeftOut, ModelLoad, Reply, Score, TrainTestSplit
from tests import ready_homes

SCENARIOS = {"invite": 3, "milk": 3, "work": 3, "banter": 2, "late": 2}
HOUR = 3600.0


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Home]:
    yield ready_homes.prepare(Home(tmp_path / "home", "--home"))
    database.db.close()


@dataclass
class Model:
    """What is recorded of one model."""

    skill: float  #: share of the checks that a reply passes on average
    reply_s: float = 2.0
    load_s: float = 8.0
    success: float = 1.0
    fails_in: int = 0  #: the round in which its job fails


@dataclass
class Night:
    """A run whose jobs are played from records. `clock` is in seconds."""

    models: Mapping[str, Model]
    plan: dict[str, Any] = field(default_factory=dict)
    turns: int = 120  #: that the owner's history has
    chats: int = 15
    clock: float = 0.0
    rounds: list[list[Job]] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    end: NoNextRound | None = None  #: why there is no further round

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(20261122)
        scenarios = [{"id": name, "prompts": [{"instruction": "x"}] * n} for name, n in SCENARIOS.items()]
        section = {"models": [{"key": key} for key in self.models], "scenarios": scenarios, "rounds": "auto"}
        self.run: Run = Run.create(
            id="2026-11-22-night",
            number=1,
            plan="night",
            night="2026-11-22",
            created_at=database.now(),
            snapshot={"plan": {"evaluate": section | self.plan}},
            warnings=[],
        )
        hard = self.random.normal(0, 0.08, 1000)
        self.difficulty: Callable[[str, int], float] = lambda cluster, _: float(hard[hash_of(cluster)])
        self._begin([self._row(1, f"evaluate:{key}", {"model": key}, place) for place, key in enumerate(self.models)])

    def _row(self, round_: int, name: str, params: dict[str, Any], place: int) -> Job:
        limits = {"memory_mb": 3000 + place, "timeout_s": 3600, "env": {"OMP_NUM_THREADS": "1"}}
        row: Job = Job.create(
            run=self.run, round=round_, name=name, kind="evaluate", params=params, place=place, **limits
        )
        return row

    def _begin(self, jobs: list[Job]) -> None:
        self.rounds.append(jobs)
        for job in jobs:
            with database.write():
                Job.update(status=self._play(job)).where(Job.id == job.id).execute()

    def until(self, deadline: float) -> None:
        """Play rounds as long as one is proposed."""
        while True:
            proposal = self.propose(deadline - self.clock)
            if isinstance(proposal, NoNextRound):
                self.end = proposal
                return
            self.proposals.append(proposal)
            for model, row in proposal.left_out.items():
                LeftOut.create(run=self.run, round=proposal.round, model=model, cause=row.cause, details=row.details)
            assert len(self.rounds) < 40, "the night does not end"
            rows = [
                Job.create(run=self.run, round=len(self.rounds) + 1, kind=kind, place=place, **as_stored(spec))
                for place, (kind, spec) in enumerate(proposal.jobs)
            ]
            self._begin(rows)

    def propose(self, seconds: float = math.inf) -> Proposal | NoNextRound:
        return next_round.next_round(load(self.run.id), len(self.rounds), seconds)

    def _play(self, job: Job) -> Status:
        if "model" not in job.params:
            self.clock += 30
            if job.params["task"] == "prepare":
                return self._prepare()
            return Status.SUCCEEDED
        model = self.models[job.params["model"]]
        self.clock += 10 + model.load_s
        if model.fails_in == job.round:
            return Status.FAILED
        ModelLoad.create(
            job=job, run=self.run, model=job.params["model"], info={}, load_time_s=model.load_s, first_reply_ms=900.0
        )
        samples = job.params.get("samples") or (None if "turns" in job.params else [1, 1])
        for sample in range(samples[0], samples[1] + 1) if samples else ():
            for name, n in SCENARIOS.items():
                for place in range(n):
                    self._reply(job, model, name, place, sample, f"scenario:{name}")
        for turn in self._asked(job):
            self._reply(job, model, REAL_TURNS, turn.place, 1, f"chat:{turn.chat}")
        return Status.SUCCEEDED

    def _asked(self, job: Job) -> list[HeldOutTurn]:
        start, stop = job.params.get("turns", [0, 0])
        return list(
            HeldOutTurn.select().where(HeldOutTurn.place >= start, HeldOutTurn.place < stop).order_by(HeldOutTurn.place)
        )

    def _prepare(self) -> Status:
        if not self.turns:
            return Status.FAILED
        at = database.now()
        TrainTestSplit.create(run=self.run, at=at, own_before=900, turns_after=self.turns, chosen=self.turns)
        for place in range(self.turns):
            chat = place % self.chats
            HeldOutTurn.create(run=self.run, place=place, chat=chat, incoming="hey", answer="yo", sent_at=at)
        return Status.SUCCEEDED

    def _reply(self, job: Job, model: Model, scenario: str, place: int, sample: int, cluster: str) -> None:
        batched = sample > 1
        self.clock += model.reply_s * (0.4 if batched else 1.3 if scenario == REAL_TURNS else 1.0)
        share = model.skill + self.difficulty(cluster, place)
        usable = bool(self.random.uniform() < model.success)
        reply = Reply.create(
            job=job,
            run=self.run,
            round=job.round,
            model=job.params["model"],
            scenario_id=scenario,
            prompt=place,
            sample=sample,
            context="hey",
            instruction="answer",
            rendered="",
            seed=1,
            reply="ok" if usable else "",
            success=usable,
            failure=None if usable else "empty",
            checks={},
            quality=self.random.binomial(6, min(1.0, max(0.0, share))) / 6 if usable else 0.0,
            batched=batched,
            latency_ms=None if batched else 1000 * model.reply_s,
            created_at=database.now(),
        )
        if usable and scenario == REAL_TURNS:
            Score.create(reply=reply, metric="own_turns", value=reply.quality)

    def models_of(self, round_: int) -> list[str]:
        return [job.params["model"] for job in self.rounds[round_ - 1] if "model" in job.params]


def as_stored(spec: JobSpec) -> dict[str, Any]:
    """As it comes back from the outcome of the job that proposed it."""
    return dict(json.loads(json.dumps(asdict(spec), allow_nan=False)))


def hash_of(text: str) -> int:
    """The same in every process, unlike hash()."""
    return sum(map(ord, text)) * 7 % 1000


SIX = {
    "a": Model(0.80),
    "b": Model(0.79, reply_s=3.0),
    "worse": Model(0.25, reply_s=1.0),
    "c": Model(0.78, reply_s=4.0),
    "d": Model(0.80, load_s=20.0),
    "e": Model(0.77),
}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Six models, one of them clearly worse, and an hour and a half."""
    ready_homes.prepare(Home(tmp_path_factory.mktemp("night") / "home", "--home"))
    played = Night(SIX)
    played.until(1.5 * HOUR)
    yield played
    database.db.close()


def test_a_night_asks_in_rounds_and_ends_in_time(night: Night) -> None:
    """Several rounds, the last proposal says why there is none, and the clock stays under the deadline."""
    assert len(night.rounds) >= 3
    assert night.end is not None
    assert night.clock <= 1.5 * HOUR


def test_a_worse_model_is_left_out_and_the_report_says_why(night: Night) -> None:
    """It had its first replies; so far behind it stays separated from whoever leads in the end."""
    assert "worse" in night.models_of(1) and "worse" not in night.models_of(len(night.rounds))
    document = pipeline.of_run(night.run.id).as_json()
    left_out = {key: model["dropped"] for key, model in document["models"].items() if model["dropped"]}
    assert " behind " in left_out["worse"] and "hardly a chance to come near the best" in left_out["worse"]
    assert not left_out.keys() & set(document["verdict"]["tied"])
    assert len(night.models_of(len(night.rounds))) == len(SIX) - len(left_out) >= 2


def test_all_who_go_on_get_the_same_prompts(night: Night) -> None:
    """The same samples and turns within a round, and turns that follow on those of the round before."""
    start = 0
    for jobs in night.rounds[1:]:
        asked = [(job.params.get("samples"), job.params["turns"]) for job in jobs if "model" in job.params]
        assert all(same == asked[0] for same in asked)
        assert asked[0][1][0] == start
        start = asked[0][1][1]
    assert next(job.params.get("samples") for job in night.rounds[1] if "model" in job.params) == [2, 5]
    assert all("samples" not in job.params for jobs in night.rounds[2:] for job in jobs)


def test_the_order_of_models_turns_around_every_round(night: Night) -> None:
    """Heat does not fall on the same one."""
    plan = list(SIX)
    for number in range(1, len(night.rounds) + 1):
        asked = night.models_of(number)
        assert asked == sorted(asked, key=plan.index, reverse=number % 2 == 0)


def test_a_round_begins_with_the_turns_and_ends_with_the_metrics(night: Night) -> None:
    """The history is read once, in round 2; each later round ends with what measures its replies."""
    assert night.rounds[1][0].params == {"task": "prepare"}
    assert (night.rounds[1][0].name, night.rounds[1][0].memory_mb) == ("turns", 600)
    for number, jobs in enumerate(night.rounds[1:], start=2):
        assert (jobs[-1].name, jobs[-1].params["task"]) == ("metrics", "metrics")
        assert [job.name for job in jobs].count("turns") == int(number == 2)


def test_the_document_of_a_night_with_turns_counts_conversations(night: Night) -> None:
    """The prompts of the scenarios and the conversations; the equally good models tie."""
    document = pipeline.of_run(night.run.id).as_json()
    assert document["rounds"] == len(night.rounds)
    assert document["models"]["a"]["stats"]["quality_clusters"] == sum(SCENARIOS.values()) + night.chats
    assert document["verdict"]["winner"] is None and "worse" not in document["verdict"]["tied"]
    assert document["models"]["a"]["stats"]["own_turns"]["n"] == night.chats
    assert document["verdict"]["pick"] and 0 < document["verdict"]["p_best"] < 1


@pytest.mark.parametrize("minutes", [12, 20, 35, 60])
def test_no_night_outlasts_its_deadline(here: Home, minutes: int) -> None:
    """However short: what is proposed fits, with what the report needs to spare."""
    night = Night(SIX, turns=160)
    began = night.clock
    night.until(minutes * 60)
    assert night.clock <= max(began, minutes * 60 - next_round.RESERVE_S + 1)


def test_never_below_two(here: Home) -> None:
    """Of two models both stay, however far apart; of three bad ones the best two."""
    night = Night({"good": Model(0.95), "bad": Model(0.1), "worst": Model(0.0)}, turns=24)
    night.until(math.inf)
    assert sorted(night.models_of(len(night.rounds))) == ["bad", "good"]


def test_without_a_deadline_the_turns_end_the_night(here: Home) -> None:
    """`rounds: auto` asks what there is, 40 turns a round, and stops."""
    night = Night({"a": Model(0.8), "b": Model(0.8)}, turns=90)
    night.until(math.inf)
    assert [jobs[1].params["turns"] for jobs in night.rounds[1:]] == [[0, 40], [40, 80], [80, 90]]
    assert night.end == NoNextRound(reason=Reason.NO_TURNS)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_a_number_of_rounds_is_kept(here: Home, rounds: int) -> None:
    """1 is the plain comparison."""
    night = Night({"a": Model(0.8), "b": Model(0.8)}, {"rounds": rounds})
    night.until(math.inf)
    assert len(night.rounds) == rounds
    assert night.end == NoNextRound(reason=Reason.PLAN_ENDS)


def test_without_a_history_there_is_no_third_round(here: Home) -> None:
    """The job that reads the turns failed: the samples were asked, then there is nothing new."""
    night = Night({"a": Model(0.8), "b": Model(0.8)}, turns=0)
    night.until(math.inf)
    assert len(night.rounds) == 2
    assert night.end == NoNextRound(reason=Reason.NO_TURNS)


def test_too_little_time_is_said(here: Home) -> None:
    """No round for fewer than eight turns."""
    night = Night({"a": Model(0.8, reply_s=60), "b": Model(0.8, reply_s=60)})
    night.until(night.clock + next_round.RESERVE_S + 300)
    assert len(night.rounds) == 1
    assert night.end == NoNextRound(reason=Reason.NO_TIME)


def test_turns_come_before_samples_where_time_is_short(here: Home) -> None:
    """New prompts tell more than the same ones again."""
    night = Night({"a": Model(0.8, reply_s=10), "b": Model(0.8, reply_s=10)}, {"rounds": 2})
    night.until(night.clock + next_round.RESERVE_S + 600)
    [asked, _] = [job.params for job in night.rounds[1] if "model" in job.params]
    assert asked["turns"][1] >= 8
    assert "samples" not in asked or asked["samples"][1] < 5


def test_a_model_whose_job_failed_is_asked_no_more(here: Home) -> None:
    """Neither one that never ran nor one that broke later; its reason is in the document."""
    models = {"a": Model(0.8), "b": Model(0.8), "never": Model(0.8, fails_in=1), "later": Model(0.8, fails_in=2)}
    night = Night(models)
    night.until(math.inf)
    assert sorted(night.models_of(2)) == ["a", "b", "later"]
    assert sorted(night.models_of(3)) == ["a", "b"]
    document = pipeline.of_run(night.run.id).as_json()["models"]
    assert document["later"]["dropped"] == "its job failed in round 2"
    assert load(night.run.id).broken(1) == {"never": LeftOutRow(cause=Cause.JOB_FAILED, details={"round": 1})}


def test_one_model_alone_is_not_asked_again(here: Home) -> None:
    """There is nothing to compare it with."""
    night = Night({"a": Model(0.8), "b": Model(0.8, success=0.0)})
    night.until(math.inf)
    assert night.end == NoNextRound(reason=Reason.TOO_FEW_MODELS)


def test_a_model_that_cannot_pass_a_gate_any_more_is_left_out(here: Home) -> None:
    """Half its replies are unusable: that is below 90 % with its whole interval."""
    night = Night({"a": Model(0.8), "b": Model(0.8), "mute": Model(0.9, success=0.4)})
    night.until(math.inf)
    assert "mute" not in night.models_of(2)
    assert "complete, so hardly more than" in pipeline.of_run(night.run.id).as_json()["models"]["mute"]["dropped"]


def test_limits_come_from_the_first_round_and_the_judge_comes_before_the_metrics(here: Home) -> None:
    """Memory, preloading and patience of a model's job; the judge is one of the last, if the plan names one."""
    plan = {
        "judge": {"key": "judge-3b", "name": "Judge", "memory_mb": 2000, "path": "/models/judge"},
        "more_samples": 0,
    }
    night = Night({"a": Model(0.8), "b": Model(0.8, reply_s=60)}, plan)
    proposal = night.propose()
    assert isinstance(proposal, Proposal)
    assert [spec.name for _, spec in proposal.jobs] == ["turns", "evaluate:b", "evaluate:a", "judge", "metrics"]
    assert {kind for kind, _ in proposal.jobs} == {"evaluate"}
    slow, fast, judge = (proposal.jobs[place][1] for place in (1, 2, 3))
    assert (fast.memory_mb, fast.timeout_s, fast.env) == (3000, 3600, {"OMP_NUM_THREADS": "1"})
    assert (slow.memory_mb, slow.timeout_s) == (3001, 600 + 10 * 40 * 60)
    assert fast.params == {"task": "replies", "model": "a", "turns": [0, 40]}
    assert judge.params == {"task": "judge", "judge": "judge-3b"} and judge.memory_mb > 2000


def test_a_run_that_compares_nothing_has_one_round(here: Home) -> None:
    """A snapshot without an evaluate section."""
    night = Night({"a": Model(0.8)})
    Run.update(snapshot={"plan": {}}).execute()
    assert night.propose() == NoNextRound(reason=Reason.NO_MODELS)
