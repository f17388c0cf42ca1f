"""The replies that a job has to write: one per prompt and sample, of scenarios or of the owner's history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jarvisd.plugin import Run
from jobs.evaluate.examples import Example
from jobs.evaluate.replies import generate, prompt
from jobs.evaluate.replies.prompt import Earlier
from jobs.evaluate.scenarios import Prompt, PromptDefaults, ResolvedScenarios, Scenario
from jobs.lib.results.tables import REAL_TURNS, HeldOutTurn, Reply, TurnExample

Key = tuple[str, int, int]  #: scenario, place, sample: a model answers each once in a run


@dataclass(frozen=True, kw_only=True)
class Task:
    """One reply to write."""

    scenario: Scenario
    place: int  #: of the prompt in its scenario, or of the real turn, from 0
    sample: int = 1
    answer: str | None = None  #: the owner's own; real turns only
    examples: tuple[Example, ...] = ()  #: of how the owner answers; real turns only

    @property
    def prompt(self) -> Prompt:
        return self.scenario.prompts[0 if self.is_real else self.place]

    @property
    def is_real(self) -> bool:
        return self.scenario.id == REAL_TURNS

    @property
    def key(self) -> Key:
        return self.scenario.id, self.place, self.sample

    @property
    def seed(self) -> int:
        return generate.seed(*self.key)

    @property
    def title(self) -> str:
        """For status and log: never text of a message."""
        return f"{self.scenario.id} {self.place + 1}, sample {self.sample}"

    def asking(self, message: str) -> Task:
        """The same with another message to be answered."""
        return replace(self, scenario=_turn(message, self.prompt))

    def words(self, defaults: PromptDefaults) -> str:
        return prompt.content(defaults.opening, self.scenario.context, self.prompt.instruction)

    def earlier(self, defaults: PromptDefaults) -> Earlier:
        """The examples as prompts of the same form, each with the owner's answer as the reply."""
        return [(self.asking(example.incoming).words(defaults), example.answer) for example in self.examples]


def of_job(run_id: str, params: Mapping[str, Any], resolved: ResolvedScenarios, samples: int) -> list[Task]:
    """Every reply of a job, in order.

    params may name `samples` (first and last, from 1) and `turns` (half-open places). A job that names neither is
    one of the first round: samples 1 to `samples`, no turns.
    """
    first = {"samples": [1, samples]} if "turns" not in params else {}
    named = {**first, **params}
    tasks = list(_scenario_tasks(resolved, *named["samples"])) if "samples" in named else []
    return tasks + (list(_turn_tasks(run_id, resolved.guide, *named["turns"])) if "turns" in named else [])


def _scenario_tasks(resolved: ResolvedScenarios, first: int, last: int) -> Iterator[Task]:
    """One sample of all prompts before the next, so that whatever is there is even."""
    for sample in range(first, last + 1):
        for scenario in resolved.scenarios:
            for place in range(len(scenario.prompts)):
                yield Task(scenario=scenario, place=place, sample=sample)


def _turn_tasks(run_id: str, defaults: PromptDefaults, start: int, stop: int) -> Iterator[Task]:
    rows = HeldOutTurn.select().where(HeldOutTurn.run == run_id, HeldOutTurn.place >= start, HeldOutTurn.place < stop)
    prompt_ = Prompt(instruction=defaults.turn_instruction)
    examples = tuple(_examples(run_id))
    for row in rows.order_by(HeldOutTurn.place):
        yield Task(scenario=_turn(row.incoming, prompt_), place=row.place, answer=row.answer, examples=examples)


def _turn(message: str, prompt_: Prompt) -> Scenario:
    return Scenario(id=REAL_TURNS, context=f"Friend: {message}", prompts=(prompt_,))


def _examples(run_id: str) -> list[Example]:
    """The earlier turns that this run shows to every model."""
    rows = TurnExample.select().where(TurnExample.run == run_id).order_by(TurnExample.place)
    return [Example(person="", incoming=row.incoming, answer=row.answer) for row in rows]


def run_date(run_id: str) -> dt.date:
    """The day on which the run was submitted, here: all its rounds put this date into prompts that hold one."""
    created: dt.datetime = Run.get_by_id(run_id).created_at
    return created.astimezone().date()


def answered(run_id: str, model: str) -> set[Key]:
    """The keys of a model's replies in all rounds of a run."""
    rows = Reply.select().where(Reply.run == run_id, Reply.model == model)
    return {(row.scenario_id, row.prompt, row.sample) for row in rows}
