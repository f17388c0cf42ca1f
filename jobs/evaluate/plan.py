"""The `evaluate` section of a plan: which models write replies to which prompts, one job per model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from jarvisd.plugin import JobSpec, MissingRequirement, PlanContext, UsageError, blas_environment
from jobs.evaluate import scenarios
from jobs.lib.comparison.rules import ROUNDS
from jobs.lib.evaluate_task import EvaluateTask
from jobs.lib.models import catalogue, here
from jobs.lib.models.catalogue import ModelEntry

#: Time that one token may take before a job counts as hung, in seconds; ten times the slowest Mac.
SLOWEST_TOKEN_S = 2
LOADING_S = 600
SHORTEST_TIMEOUT_S = 3600
MAX_ROUNDS = 50


class Section(BaseModel):
    """evaluate: {models: [...], scenarios: scenarios.yaml, rounds: auto, max_tokens: 50, temperature: 0.7}"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...] = Field(
        min_length=1, description='keys of models.yaml, repositories ("org/name", "org/name@revision") or folders'
    )
    scenarios: str = Field(default="scenarios.yaml", description="the prompts; beside the plan, else in config/")
    samples: int = Field(
        default=ROUNDS["samples"],
        ge=1,
        le=50,
        description="replies per prompt in the first round, each with its own seed",
    )
    rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] | Literal["auto"] = Field(
        default=ROUNDS["rounds"],
        description="1 is the plain comparison; auto = until the deadline, or until there is nothing new to ask",
    )
    more_samples: int = Field(
        default=ROUNDS["more_samples"], ge=0, le=50, description="further replies per prompt in the second round"
    )
    turns: int = Field(
        default=ROUNDS["turns"],
        ge=0,
        le=500,
        description="turns of your history that each later round asks every model; 0 = none",
    )
    turn_examples: int = Field(
        default=6,
        ge=0,
        le=20,
        description="of your earlier turns, shown with your answers before each turn of your history, the same for "
        "every model; 0 = none",
    )
    meaning: str | None = Field(
        default="all-minilm-l6-v2", description="embedder that compares a reply with yours; null = left out"
    )
    judge: str | None = Field(
        default=None,
        description="a model that also compares replies, tells which prompt each follows and sorts the cards of "
        "`review`; off unless one is named",
    )
    max_tokens: int = Field(default=50, ge=1, le=1000, description="longest reply")
    spread: bool = Field(
        default=False,
        description="where several Macs share a queue: models may be compared on different ones, by quality alone",
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="how freely a reply is drawn; 0 = the likeliest")

    @field_validator("models")
    @classmethod
    def _named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} stands here twice")
        return names


def entries(section: Section, setting: PlanContext) -> list[ModelEntry]:
    """The models of the plan, in order, each under a key of its own. Raises UsageError for an unknown one."""
    chosen: list[ModelEntry] = []
    taken: set[str] = set()
    for name in section.models:
        entry = catalogue.resolve(name, setting)
        numbered = (entry.key if n == 1 else f"{entry.key}-{n}" for n in range(1, len(section.models) + 1))
        key = next(candidate for candidate in numbered if candidate not in taken)
        taken.add(key)
        chosen.append(entry if key == entry.key else entry.model_copy(update={"key": key}))
    return chosen


def embedder(section: Section, setting: PlanContext) -> ModelEntry | None:
    """What compares meanings in later rounds. Raises UsageError for an unknown one, where there are later rounds."""
    if section.meaning is None:
        return None
    try:
        return catalogue.resolve(section.meaning, setting, "embedder")
    except UsageError:
        if section.rounds == 1:  # nothing would load it
            return None
        raise


def judge(section: Section, setting: PlanContext) -> ModelEntry | None:
    """The model that also compares replies. Raises UsageError for an unknown one, and for one of the compared."""
    if section.judge is None:
        return None
    entry = catalogue.resolve(section.judge, setting)
    if any((entry.repo, entry.path) == (other.repo, other.path) for other in entries(section, setting)):
        what = f"evaluate.judge: {section.judge} is one of the models that it would judge"
        raise UsageError(what, "Name another model, or leave judge out.")
    return entry


def resolve(section: Section, setting: PlanContext) -> dict[str, Any]:
    """The section as a run keeps it, complete: a later rendering needs no scenario file, no models.yaml."""
    resolved = scenarios.load(section.scenarios, setting)
    meaning, judging = embedder(section, setting), judge(section, setting)
    return {
        **section.model_dump(mode="json"),
        **resolved.as_json(),
        "models": [entry.model_dump(mode="json") for entry in entries(section, setting)],
        "meaning": meaning.model_dump(mode="json") if meaning else None,
        "judge": judging.model_dump(mode="json") if judging else None,
        "scenarios_file": str(scenarios.find(section.scenarios, setting)),
    }


def jobs(section: Section, setting: PlanContext) -> list[JobSpec]:
    resolved = scenarios.load(section.scenarios, setting)
    replies = section.samples * sum(len(scenario.prompts) for scenario in resolved.scenarios)
    timeout = max(SHORTEST_TIMEOUT_S, LOADING_S + SLOWEST_TOKEN_S * replies * section.max_tokens)
    return [
        JobSpec(
            name=f"evaluate:{entry.key}",
            params={"task": EvaluateTask.REPLIES, "model": entry.key},
            memory_mb=entry.needs_mb,
            timeout_s=timeout,
            env=blas_environment(),
            **here.placed(entry, spread=section.spread),
        )
        for entry in entries(section, setting)
    ]


def check(section: Section, setting: PlanContext) -> list[MissingRequirement]:
    """A requirement per model that is not on this disk or unusable, including those of later rounds."""
    wanted = [(f"evaluate:{entry.key}", entry) for entry in entries(section, setting)]
    if section.rounds != 1:
        later = (("metrics", embedder(section, setting)), ("judge", judge(section, setting)))
        wanted += [(job, entry) for job, entry in later if entry is not None]
    missing = (catalogue.finding(job, entry, setting.home) for job, entry in wanted)
    return [requirement for requirement in missing if requirement]
