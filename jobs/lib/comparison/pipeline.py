"""The comparison of a run: load, score, pairwise, decide, explain, document. Only `load` reads the database."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs.lib import stats
from jobs.lib.comparison import adjusted, advice, explain, pairwise, sensitivity, votes
from jobs.lib.comparison import decide as deciding
from jobs.lib.comparison import scores as scoring
from jobs.lib.comparison.advice import Advice, Bar
from jobs.lib.comparison.decide import Decision, Interruption
from jobs.lib.comparison.document import (
    Agreed,
    ComparisonDocument,
    Difference,
    Generation,
    Instruction,
    ModelDocument,
    PairDocument,
    Reference,
    ReferenceValue,
    Scenario,
    Split,
    Verdict,
)
from jobs.lib.comparison.load import ComparisonData, ReferenceRow, ReplyRow, load, planned_models, planned_scenarios
from jobs.lib.comparison.pairwise import Pair, Pairwise
from jobs.lib.comparison.preferences import Preferences
from jobs.lib.comparison.prompts import Measure
from jobs.lib.comparison.scores import ModelScores
from jobs.lib.comparison.sensitivity import TradeOff
from jobs.lib.comparison.two_measures import MeasureFigures
from jobs.lib.results.tables import CANNED, SCALED

_INFO = ("name", "params", "memory", "notes", "path", "revision")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every stage of the pipeline for one run."""

    data: ComparisonData
    scores: Mapping[str, ModelScores]
    decision: Decision
    document: ComparisonDocument

    @property
    def preferences(self) -> Preferences | None:
        """What votes and scores say together; None where no two models were compared."""
        return self.decision.advice.preferences if self.decision.advice else None


def of_run(run_id: str) -> ComparisonDocument:
    """The document of a run. Raises peewee.DoesNotExist for an unknown one."""
    return compare(load(run_id)).document


def compare(data: ComparisonData) -> Comparison:
    """The comparison of what a run has stored."""
    scored = scoring.score(data)
    replied = {key: model for key, model in scored.items() if model.replies}
    compared = pairwise.compare(
        {key: model.samples for key, model in replied.items()},
        {key: model.failed_gates for key, model in scored.items()},
        [key for key in scored if key in data.left_out],
        weights=data.rules.measures,
        is_last=data.is_last,
    )
    advised = _advice(data, scored, compared)
    decision = deciding.decide(compared, _interrupted(data), advised)
    common = adjusted.leader_adjusted(scored, compared.ranking, has_times=not data.is_spread)
    chances = advised.chances if advised else {}
    scored = {
        key: replace(model, figures=replace(model.figures, common=common.get(key), p_best=chances.get(key)))
        for key, model in scored.items()
    }
    document = _document(data, scored, decision)
    return Comparison(data=data, scores=scored, decision=decision, document=document)


def _advice(data: ComparisonData, scored: Mapping[str, ModelScores], compared: Pairwise) -> Advice | None:
    quality = {reply.row.id: reply.quality for model in scored.values() for reply in model.replies}
    available = len({turn.chat for turn in data.turns.values()})
    asked = len({cluster for scores in compared.scores.values() for cluster, _ in scores if cluster.startswith("chat")})
    return advice.advise(
        compared,
        votes.keyed(data, quality),
        present=data.present,
        more=available / asked if asked else 1.0,
        bar=_bar(data),
    )


def _bar(data: ComparisonData) -> Bar:
    """What a canned reply reaches on the scale that counts; CANNED_FLOOR where that was not stored."""
    values = {row.metric: row.value for row in data.references if row.reference == CANNED}
    return Bar(instructions=values.get(_scale(data), advice.CANNED_FLOOR), own_turns=values.get(Measure.OWN_TURNS))


def _scale(data: ComparisonData) -> str:
    """The metric under which the canned reply to the scenarios is stored."""
    return Measure.INSTRUCTIONS if scoring.is_read(data) else "checks"


def _interrupted(data: ComparisonData) -> dict[str, Interruption]:
    """Models that were not asked to the end. A job that broke is the better reason of the two."""
    left_out = {key: Interruption(rounds=_rounds(data, key)) for key in data.left_out}
    return left_out | {key: Interruption(broken=row) for key, row in data.broken().items()}


def _rounds(data: ComparisonData, key: str) -> int:
    return len({row.round for row in data.replies_of(key)})


# ------------------------------------------------------------------------------------------------ the document


def _document(data: ComparisonData, scored: Mapping[str, ModelScores], decision: Decision) -> ComparisonDocument:
    called = {key: str(_info(key, data)["name"]) for key in scored}
    models = {key: _model(key, model, data, called) for key, model in scored.items()}
    names = display_names(models)
    trade_offs = {key: TradeOff.of(model.figures) for key, model in scored.items()}
    # Sort statistically tied models by weight. Keep the order of conflicting models.
    among = list(decision.pairwise.groups) if decision.winner else [] if decision.conflict else list(decision.tied)
    by_weights = sensitivity.order(trade_offs, among, data.rules.weights)
    tied = () if decision.winner else tuple(by_weights) or decision.tied
    first = decision.winner or next(iter(tied), None)
    told = explain.Explanation(
        decision=decision,
        names=names,
        times={key: trade_off.p50_ms for key, trade_off in trade_offs.items()},
        not_compared=data.not_compared_in_jarvis,
        scenarios={each.id: each.context for each in _scenarios(data)},
    )
    stability = (
        sensitivity.weight_sensitivity(trade_offs, first, among, data.rules.weights) if first and among else None
    )
    return ComparisonDocument(
        timestamp=max((row.created_at for row in data.replies), default=data.created_at),
        rounds=max((row.round for row in data.replies), default=1),
        scenarios=_scenarios(data),
        models=models,
        pairs=tuple(map(_pair, decision.pairwise.pairs)),
        groups=decision.pairwise.groups,
        ranking=decision.pairwise.ranking,
        by_weights=tuple(by_weights),
        stability=stability,
        votes=votes.summary(data, decision.advice.preferences if decision.advice else None),
        settle=told.settle,
        verdict=_verdict(decision, tied, told),
        split=Split(**vars(data.split)) if data.split else None,
        references=_references(data.references),
        reference_figures=_reference_figures(data),
    )


def display_names(models: Mapping[str, ModelDocument]) -> dict[str, str]:
    """What people call each model; its key beside it where two have the same name."""
    names = {key: model.name for key, model in models.items()}
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {key: f"{name} ({key})" if name in twice else name for key, name in names.items()}


def _verdict(decision: Decision, tied: tuple[str, ...], told: explain.Explanation) -> Verdict:
    differences = tuple(
        Difference(
            model=gap.leader,
            against=gap.rival,
            difference=gap.estimate.mean if gap.estimate else None,
            ci=gap.estimate.interval if gap.estimate else None,
            clusters=gap.estimate.n if gap.estimate else 0,
            p_holm=gap.pair.p_holm if gap.pair else None,
        )
        for gap in decision.gaps
    )
    advised = decision.advice
    return Verdict(
        action=advised.action if advised else None,
        pick=advised.pick if advised else None,
        recommended=advised is not None and advised.recommended,
        present=advised.present if advised else None,
        p_best=advised.p_best if advised else None,
        expected_loss=advised.expected_loss if advised else None,
        rival=advised.rival if advised else None,
        near=advised.near if advised else (),
        votes_wanted=advised.votes_wanted if advised else None,
        answers_left=advised.answers_left if advised else None,
        agreement=Agreed(agreed=advised.agreement.agreed, of=advised.agreement.of) if advised else None,
        winner=decision.winner,
        tied=tied,
        conflict=decision.conflict,
        why=told.why,
        details=told.details,
        differences=differences,
        confidence=decision.confidence,
    )


def _pair(pair: Pair) -> PairDocument:
    return PairDocument(
        first=pair.first,
        second=pair.second,
        difference=pair.gap.mean if pair.gap else None,
        ci=pair.gap.interval if pair.gap else None,
        p=pair.p,
        p_holm=pair.p_holm,
        clusters=pair.gap.n if pair.gap else 0,
        prompts=pair.prompts,
    )


def _scenarios(data: ComparisonData) -> tuple[Scenario, ...]:
    """The planned scenarios; as the replies show them for a run whose snapshot does not hold them."""
    planned = planned_scenarios(data.evaluate)
    if planned:
        return tuple(map(scenario, planned))
    blank: dict[str, Scenario] = {}
    for row in data.replies:
        if row.is_real:
            continue
        entry = blank.get(row.scenario_id) or Scenario(id=row.scenario_id, title="", context=row.context, prompts=())
        prompt = Instruction(instruction=row.instruction)
        prompts = entry.prompts if prompt in entry.prompts else (*entry.prompts, prompt)
        blank[row.scenario_id] = replace(entry, prompts=prompts)
    return tuple(blank.values())


def scenario(entry: Mapping[str, Any]) -> Scenario:
    """A planned scenario."""
    prompts = [prompt for prompt in entry.get("prompts") or [] if isinstance(prompt, dict)]
    return Scenario(
        id=str(entry.get("id")),
        title=entry.get("title", ""),
        context=entry.get("context", ""),
        prompts=tuple(Instruction(instruction=prompt.get("instruction", "")) for prompt in prompts),
    )


def _references(rows: tuple[ReferenceRow, ...]) -> dict[str, dict[str, Reference]]:
    """Metric -> reference -> its values; a row with the suffix SCALED belongs to the one without."""
    empty = Reference(raw=None, n=0, scaled=None)
    references: dict[str, dict[str, Reference]] = {}
    for row in rows:
        metric = references.setdefault(row.metric, {})
        name = row.reference.removesuffix(SCALED)
        entry = metric.get(name, empty)
        if row.reference.endswith(SCALED):
            metric[name] = replace(entry, scaled=_reference_value(row, clip=True))
        else:
            metric[name] = replace(entry, raw=_reference_value(row), n=row.n)
    return references


def _reference_figures(data: ComparisonData) -> dict[str, dict[str, MeasureFigures]]:
    """Reference -> measure -> what it reaches there, as the figures of a model."""
    measures = {_scale(data): Measure.INSTRUCTIONS, str(Measure.OWN_TURNS): Measure.OWN_TURNS}
    figures: dict[str, dict[str, MeasureFigures]] = {}
    for row in data.references:
        if row.metric in measures:
            ends = None if row.low is None or row.high is None else [row.low, row.high]
            of = MeasureFigures(value=row.value, ci=ends, n=row.n)
            figures.setdefault(row.reference, {})[measures[row.metric]] = of
    return figures


def _reference_value(row: ReferenceRow, *, clip: bool = False) -> ReferenceValue:
    ends = None if row.low is None or row.high is None else [row.low, row.high]
    low, high = (stats.clip_interval(ends) if clip else ends) or (None, None)
    return ReferenceValue(value=row.value, low=low, high=high)


# -------------------------------------------------------------------------------------------------- one model


def _model(key: str, model: ModelScores, data: ComparisonData, names: Mapping[str, str]) -> ModelDocument:
    loads = data.loads_of(key)
    dropped = data.left_out.get(key)
    return ModelDocument(
        info=_info(key, data),
        load_time_s=loads[0].load_time_s if loads else None,
        generations=tuple(_generation(reply.row, data) for reply in model.replies),
        stats=model.figures,
        gates=tuple(map(explain.failed_gate, model.failed_gates)),
        rounds=_rounds(data, key),
        dropped=explain.left_out(dropped, names) if dropped else None,
        machine=data.machines.get(key),
    )


def _info(key: str, data: ComparisonData) -> dict[str, Any]:
    """What the newest loading stored, completed by the plan."""
    planned = next((entry for entry in planned_models(data.evaluate) if entry["key"] == key), {})
    loads = data.loads_of(key)
    stored = dict(loads[-1].info) if loads else {}
    info = {name: stored.get(name, planned.get(name)) for name in _INFO} | stored
    return info | {"name": info["name"] or key}


_COPIED = frozenset(each.name for each in dataclasses.fields(Generation)) & {
    each.name for each in dataclasses.fields(ReplyRow)
}


def _generation(row: ReplyRow, data: ComparisonData) -> Generation:
    turn = data.turns.get(row.prompt) if row.is_real else None
    return Generation(
        **{name: getattr(row, name) for name in _COPIED},
        style=row.metrics.get("style"),
        meaning=row.metrics.get("meaning"),
        reading=row.metrics.get(scoring.READING),
        letters=row.metrics.get("letters"),
        reference=turn.answer if turn else None,
        chat=turn.chat if turn else None,
    )
