"""The scenario file: who writes what, what the owner wants to say, and the yes/no checks of a good reply.

Two shapes: `ScenarioFile` is what a person writes (it names lists of phrases), `Scenario` is what a run keeps
(every pattern spelled out), so that an old run can be scored and shown without the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from jarvisd import plugin
from jarvisd.plugin import PlanContext, PlanError
from jobs.lib.results.tables import REAL_TURNS

#: Checks that every scenario file may ask of every reply; `checks.py` holds their functions.
GENERAL_CHECKS = (
    "one message",
    "short enough",
    "no placeholder",
    "no assistant's voice",
    "plain text",
    "own words",
    "no abuse",
)
#: A repeat inside a repeated group, as in (a+)+: matching it may take longer than a night.
_NESTED_REPEAT = re.compile(r"(?<!\\)[*+}]\??\)(?:[*+]|\{\d+,)")


def _pattern(text: str) -> str:
    """A regular expression, or "$name" for a list of phrases."""
    if text.startswith("$"):
        return text
    try:
        re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if _NESTED_REPEAT.search(text):
        raise ValueError("a repeat inside a repeated group can take forever; write it without one")
    return text


Pattern = Annotated[str, AfterValidator(_pattern), Field(min_length=1, max_length=2000)]
Words = Annotated[int, Field(ge=1, le=500)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Part):
    """One yes/no question about a reply: yes when all that is stated here holds."""

    says: tuple[Pattern, ...] = Field(default=(), description="at least one of these is found")
    lacks: tuple[Pattern, ...] = Field(default=(), description="none of these is found")
    min_words: Words | None = Field(default=None, description="at least so many words")
    max_words: Words | None = Field(default=None, description="at most so many words")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.says or self.lacks or self.min_words or self.max_words):
            raise ValueError("a check needs says, lacks, min_words or max_words")
        return self


Checks = dict[str, Check]


ExampleReply = Annotated[str, Field(min_length=1, max_length=500)]


class Examples(_Part):
    """Replies that do what an instruction asks, and replies that do not; the second reader learns from them."""

    good: tuple[ExampleReply, ...] = Field(default=(), description="replies you would send, in several tones")
    bad: tuple[ExampleReply, ...] = Field(
        default=(), description="replies you would not send: the opposite, off topic, rude, stiff, an assistant's"
    )

    @model_validator(mode="after")
    def _sides_differ(self) -> Self:
        if both := set(self.good) & set(self.bad):
            raise ValueError(f"an example stands on both sides: {min(both)}")
        return self


class Prompt(_Part):
    """What the owner wants to say."""

    instruction: str = Field(min_length=1, max_length=500, description="what the reply should say, in your words")
    checks: Checks = Field(default_factory=dict, description="asked of the replies to this prompt alone")
    max_words: Words | None = Field(default=None, description="instead of the file's")
    examples: Examples = Field(
        default=Examples(), description="replies that follow the instruction, and some that do not"
    )


class Scenario(_Part):
    """A message of another person and the ways to answer it."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="unique in the file")
    title: str = Field(default="", description="a short name for people")
    context: str = Field(min_length=1, max_length=4000, description="who wrote what")
    checks: Checks = Field(default_factory=dict, description="asked of the replies to every prompt of it")
    prompts: tuple[Prompt, ...] = Field(min_length=1, description="the ways to answer it")

    @model_validator(mode="after")
    def _instructions_differ(self) -> Self:
        instructions = [prompt.instruction for prompt in self.prompts]
        if len(set(instructions)) < len(instructions):
            raise ValueError("an instruction stands here twice")
        return self


class PromptDefaults(_Part):
    """What holds for every prompt of a file."""

    opening: str = Field(min_length=1, max_length=2000, description="the first lines of every prompt")
    turn_instruction: str = Field(
        default="Reply the way I would",
        min_length=1,
        max_length=500,
        description="the instruction of a turn of your history, which has no instruction of its own",
    )
    max_words: Words = Field(default=30, description="a longer reply is not short enough")
    every_reply: tuple[str, ...] = Field(default=GENERAL_CHECKS, description="the general checks that count, by name")

    @model_validator(mode="after")
    def _checks_exist(self) -> Self:
        for name in self.every_reply:
            if name not in GENERAL_CHECKS:
                raise ValueError(f"no general check is called {name!r}; there are {', '.join(GENERAL_CHECKS)}")
        return self


class ScenarioFile(PromptDefaults):
    """scenarios.yaml."""

    phrases: dict[str, Annotated[tuple[Pattern, ...], Field(min_length=1)]] = Field(
        default_factory=dict, description="lists of patterns by name; $name stands for all of one"
    )
    scenarios: tuple[Scenario, ...] = Field(min_length=1, description="what the models are asked")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        ids = [scenario.id for scenario in self.scenarios]
        if len(set(ids)) < len(ids):
            raise ValueError("two scenarios have the same id")
        if REAL_TURNS in ids:
            raise ValueError(f"no scenario may be called {REAL_TURNS}: the turns of your history are")
        for scenario in self.scenarios:
            for name in _names(scenario):
                if name[1:] not in self.phrases:
                    raise ValueError(f"{scenario.id}: no list of phrases is called {name[1:]!r}")
        return self

    def expanded(self) -> tuple[Scenario, ...]:
        """The scenarios with every list of phrases spelled out."""
        return tuple(self._scenario(scenario) for scenario in self.scenarios)

    def _scenario(self, scenario: Scenario) -> Scenario:
        prompts = tuple(
            prompt.model_copy(update={"checks": self._checks(prompt.checks)}) for prompt in scenario.prompts
        )
        return scenario.model_copy(update={"checks": self._checks(scenario.checks), "prompts": prompts})

    def _checks(self, checks: Checks) -> Checks:
        return {
            name: check.model_copy(update={"says": self._patterns(check.says), "lacks": self._patterns(check.lacks)})
            for name, check in checks.items()
        }

    def _patterns(self, items: tuple[str, ...]) -> tuple[str, ...]:
        lists = (self.phrases[item[1:]] if item.startswith("$") else (item,) for item in items)
        return tuple(pattern for patterns in lists for pattern in patterns)


def _names(scenario: Scenario) -> Iterator[str]:
    """Every "$name" that a scenario uses."""
    for checks in (scenario.checks, *(prompt.checks for prompt in scenario.prompts)):
        for check in checks.values():
            yield from (item for item in (*check.says, *check.lacks) if item.startswith("$"))


class ResolvedScenarios(_Part):
    """A scenario file as a run keeps it."""

    guide: PromptDefaults
    scenarios: tuple[Scenario, ...]

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def find(name: str, setting: PlanContext) -> Path:
    """The file that a plan calls `name`: beside the plan, else a configuration file."""
    beside = setting.folder / plugin.expand_path(name)
    return beside if beside.is_file() else setting.home.config_file(name)


def load(name: str, setting: PlanContext) -> ResolvedScenarios:
    """Read a scenario file. Raises PlanError with file, line and key."""

    path = find(name, setting)
    if not path.is_file():
        what = f"{name}: no such scenario file"  # the plan's file and line are put before it
        raise PlanError(what, "Name one beside the plan or in config/.", file="evaluate.scenarios")
    content = plugin.load_yaml(path, ScenarioFile)
    defaults = PromptDefaults.model_validate({field: getattr(content, field) for field in PromptDefaults.model_fields})
    return ResolvedScenarios(guide=defaults, scenarios=content.expanded())
