"""The comparison of models as one document, mlx_comparison_results.json: a dataclass with a stable shape."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.lib.comparison.action import Action
from jobs.lib.comparison.decide import Confidence, Conflict
from jobs.lib.comparison.scores import ModelFigures
from jobs.lib.comparison.sensitivity import Stability
from jobs.lib.comparison.two_measures import MeasureFigures
from jobs.lib.comparison.votes import VoteSummary


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One prompt of a scenario."""

    instruction: str


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A scenario as readers need it: without the patterns of its checks."""

    id: str
    title: str
    context: str
    prompts: tuple[Instruction, ...]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One reply of a model, with what was measured of it."""

    scenario_id: str
    prompt: int
    sample: int
    round: int
    batched: bool
    context: str
    instruction: str
    reply: str
    thinking: int
    latency_ms: float | None
    ttft_ms: float | None
    inter_token_ms: float | None
    tokens: int | None
    tokens_per_second: float | None
    characters_per_second: float | None
    finish_reason: str | None
    failure: str | None
    quality: float | None
    checks: Mapping[str, bool]
    bits_per_character: float | None
    seed: int
    success: bool
    style: float | None
    meaning: float | None
    reference: str | None  #: what the owner really wrote, of a real turn
    chat: int | None  #: number of the conversation, of a real turn
    reading: float | None = None  #: by checks and examples together, 0..1; scenarios only
    letters: float | None = None  #: by a judge that tells which instruction it follows, 0..1; scenarios only


@dataclass(frozen=True, kw_only=True)
class ModelDocument:
    """One model: what it is, its replies, its figures, and what speaks against it."""

    info: Mapping[str, Any]  #: name, params, memory, notes, path, revision and what else its loading stored
    load_time_s: float | None
    generations: tuple[Generation, ...]
    stats: ModelFigures
    gates: tuple[str, ...]  #: the gates that it fails, in words
    rounds: int  #: that it was asked in
    dropped: str | None  #: why later rounds no longer asked it
    machine: str | None = None  #: name of the one that ran it, where several share the database

    @property
    def name(self) -> str:
        return str(self.info["name"])

    @property
    def fails_gate(self) -> bool:
        return bool(self.gates)

    @property
    def weights_mb(self) -> float | None:
        """Memory of the loaded weights, where the loading stored it."""
        value = self.info.get("weights_mb")
        return float(value) if isinstance(value, (int, float)) else None


@dataclass(frozen=True, kw_only=True)
class PairDocument:
    """The paired difference of two models, and what chance says of it."""

    first: str
    second: str
    difference: float | None
    ci: list[float] | None
    p: float | None
    p_holm: float | None
    clusters: int
    prompts: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Quality of the leader less that of another model."""

    model: str
    against: str
    difference: float | None
    ci: list[float] | None
    clusters: int
    p_holm: float | None


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """In how many of the votes that can tell the owner preferred the reply with the better score."""

    agreed: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The decision, with its reasons in words. `pick` is the best guess, `winner` the one that is better than each."""

    action: Action | None = None  #: about the present model
    pick: str | None = None
    recommended: bool = False  #: the pick passes the gates and beats a canned reply
    present: str | None = None
    p_best: float | None = None  #: chance that the pick is the best
    expected_loss: float | None = None  #: of quality, by choosing the pick
    rival: str | None = None  #: what the pick was compared with: the present model, else the runner-up
    near: tuple[str, ...] = ()  #: models nearly as good as the pick
    votes_wanted: int | None = None  #: answers that would probably decide
    answers_left: int | None = None  #: the least number of answers that decides; None where answers cannot
    agreement: Agreed | None = None  #: of our score with the owner's votes
    winner: str | None = None
    tied: tuple[str, ...] = ()
    conflict: Conflict | None = None
    why: str = "No model gave replies, so there is nothing to compare."
    details: str = ""  #: the figures behind it
    differences: tuple[Difference, ...] = ()
    confidence: Confidence = Confidence.LOW


@dataclass(frozen=True, kw_only=True)
class Split:
    """The instant that divides the owner's history: real turns lie after it."""

    at: dt.datetime
    own_before: int
    turns_after: int
    chosen: int


@dataclass(frozen=True, kw_only=True)
class ReferenceValue:
    """A mean with its interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What people reach on a metric: as measured, and after each text was clipped to 0..1 as replies are."""

    raw: ReferenceValue | None
    n: int
    scaled: ReferenceValue | None


@dataclass(frozen=True, kw_only=True)
class ComparisonDocument:
    """mlx_comparison_results.json of a run; no model where none was loaded."""

    timestamp: dt.datetime
    rounds: int
    scenarios: tuple[Scenario, ...]
    models: Mapping[str, ModelDocument]
    pairs: tuple[PairDocument, ...]
    groups: Mapping[str, str]
    ranking: tuple[str, ...]
    by_weights: tuple[str, ...]
    stability: Stability | None
    votes: VoteSummary
    settle: str  #: what would separate a tie, as a sentence
    verdict: Verdict
    split: Split | None = field(metadata={"json": "cut"})
    references: Mapping[str, Mapping[str, Reference]] = field(metadata={"json": "yardsticks"})
    #: Reference (canned, another, real) -> measure -> what it reaches, on the scale of the models' figures.
    reference_figures: Mapping[str, Mapping[str, MeasureFigures]] = field(metadata={"json": "references"})

    @property
    def is_spread(self) -> bool:
        """Whether the models ran on several machines: then no time of one is compared with another's."""
        return len({model.machine for model in self.models.values() if model.machine}) > 1

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, no NaN."""
        return dict(plain(self))


# -------------------------------------------------------------------------------------------------------- JSON


def plain(value: Any) -> Any:
    """The same value with nothing that JSON lacks: NaN and infinity become null, dataclasses objects.

    A field of a dataclass is called as its metadata `json` says, else as itself. numpy scalars become numbers.
    """
    if isinstance(value, Reference):
        return _plain_reference(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = ((each.metadata.get("json", each.name), each.name) for each in dataclasses.fields(value))
        return {key: plain(getattr(value, name)) for key, name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dt.datetime):
        return value.astimezone().isoformat(timespec="seconds")
    if not isinstance(value, (str, bool, int, float)) and hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain_reference(reference: Reference) -> dict[str, Any]:
    """The raw value beside `n`, and the scaled one inside."""
    raw = plain(reference.raw) | {"n": reference.n} if reference.raw else {}
    return raw | ({"scaled": plain(reference.scaled)} if reference.scaled else {})
