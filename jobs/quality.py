"""How good a model's replies are, in layers, and whether it may be chosen at all: figures of one model.

A failed reply counts 0 in every layer, so a model cannot gain by failing on the hard prompts. Samples of a prompt are
averaged first, then the prompts of a cluster. A cluster is what counts as independent: a scenario, or a conversation
of the owner's.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs import statistics
from jobs.results import REAL_TURNS, Evaluation, RealTurn, Reply, Score

#: (cluster, place of the prompt in it) -> mean of a model's samples there, 0..1
Scores = Mapping[tuple[str, int], float]
Prompt = tuple[str, int]

#: What a run's `report` section says when its snapshot has none: the defaults of that section.
GATES: dict[str, float | None] = {"success": 0.9, "memory_mb": 6144, "p95_ms": 15_000}
LAYERS = {"checks": 0.6, "style": 0.2, "meaning": 0.2}
WEIGHTS = {"quality": 0.7, "speed": 0.2, "memory": 0.1}


@dataclass(frozen=True)
class Rules:
    """By what a run's verdict is found."""

    gates: Mapping[str, float | None] = field(default_factory=lambda: GATES)
    layers: Mapping[str, float] = field(default_factory=lambda: LAYERS)
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)


def rules(snapshot: Any) -> Rules:
    """The rules in a run's snapshot, completed by the defaults."""
    plan = snapshot.get("plan") if isinstance(snapshot, dict) else None
    section = plan.get("report") if isinstance(plan, dict) else None
    given = section if isinstance(section, dict) else {}
    parts = ((name, given.get(name) or {}) for name in ("gates", "layers", "weights"))
    defaults: dict[str, Any] = {"gates": GATES, "layers": LAYERS, "weights": WEIGHTS}
    return Rules(**{name: defaults[name] | part for name, part in parts})


# ------------------------------------------------------------------------------------------- the replies of a run


class Replies:
    """Every reply of a run with its layers, by model, in the order of the scenarios and then of the real turns."""

    def __init__(self, run_id: str, order: Sequence[str] = (), *, before_round: int | None = None) -> None:
        place = {scenario: number for number, scenario in enumerate(order)}
        wanted = Reply.run == run_id
        if before_round is not None:
            wanted &= Reply.round < before_round
        rows = list(Reply.select().where(wanted))
        last = len(place)
        rows.sort(
            key=lambda row: (
                row.scenario_id == REAL_TURNS,
                place.get(row.scenario_id, last),
                row.scenario_id,
                row.prompt,
                row.sample,
                row.created_at,
            )
        )
        self.turns: dict[int, RealTurn] = {row.place: row for row in RealTurn.select().where(RealTurn.run == run_id)}
        self.by_model: dict[str, list[Reply]] = defaultdict(list)
        for row in rows:
            self.by_model[row.model].append(row)
        self.scored: dict[int, dict[str, float]] = defaultdict(dict)
        for score in Score.select().join(Reply).where(wanted):
            self.scored[score.reply_id][score.layer] = score.value
        self.counting = self._counting(rows)

    def _counting(self, rows: Iterable[Reply]) -> dict[Prompt, frozenset[str]]:
        """The layers that count at each prompt: those that every usable reply to it has.

        One that only some replies have (the night ended while the others were measured) would compare two scales.
        """
        found: dict[Prompt, frozenset[str]] = {}
        for row in rows:
            if row.success:
                has = frozenset(self.scored[row.id])
                prompt = self.prompt(row)
                found[prompt] = found.get(prompt, has) & has
        return found

    def all(self) -> list[Reply]:
        return [row for rows in self.by_model.values() for row in rows]

    def prompt(self, row: Reply) -> Prompt:
        """The cluster and the place in it."""
        if row.scenario_id != REAL_TURNS:
            return f"scenario:{row.scenario_id}", row.prompt
        turn = self.turns.get(row.prompt)
        return f"chat:{turn.chat if turn else -1}", row.prompt

    def layer(self, row: Reply, layer: str) -> float | None:
        """What a layer says of a reply, 0..1; None where it does not count."""
        if layer == "checks":
            return _number(row.quality) if row.success else 0.0
        if layer not in self.counting.get(self.prompt(row), ()):
            return None
        return self.scored[row.id].get(layer, 0.0) if row.success else 0.0

    def quality(self, row: Reply, weights: Mapping[str, float]) -> float | None:
        """The layers together: their weighted mean; the checks alone where no layer with a weight was measured."""
        values = {layer: self.layer(row, layer) for layer in weights if weights[layer] > 0}
        known = {layer: value for layer, value in values.items() if value is not None}
        if not known:
            return self.layer(row, "checks")
        return math.fsum(weights[layer] * known[layer] for layer in known) / math.fsum(weights[key] for key in known)

    def scores(self, model: str, weights: Mapping[str, float]) -> Scores:
        """Mean quality of the model's samples at each prompt it attempted."""
        return self.means(model, lambda row: self.quality(row, weights))

    def means(self, model: str, value: Any) -> Scores:
        """Mean of `value` over the model's samples at each prompt, where it is known."""
        samples: dict[Prompt, list[float]] = defaultdict(list)
        for row in self.by_model.get(model, ()):
            samples[self.prompt(row)] += known([value(row)])
        return {prompt: math.fsum(values) / len(values) for prompt, values in samples.items() if values}


def known(values: Iterable[Any]) -> list[float]:
    """The numbers among values, without None, NaN and infinity."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def _number(value: Any) -> float | None:
    return next(iter(known([value])), None)


def by_cluster(values: Scores) -> dict[str, list[float]]:
    """Cluster -> values of its prompts."""
    clusters: dict[str, list[float]] = defaultdict(list)
    for (cluster, _), value in sorted(values.items()):
        clusters[cluster].append(value)
    return clusters


# ------------------------------------------------------------------------------------------- figures of one model


def stats(model: str, replies: Replies, loadings: Sequence[Evaluation], weights: Mapping[str, float]) -> dict[str, Any]:
    """Figures of one model; `loadings` in the order of rounds. Whatever was not measured is None.

    Speed is taken over successful replies, because a failure is often fast, and never from a batch.
    `p95_latency_ms` is null below 20 such replies, where it would be little more than the slowest one.
    """
    rows = replies.by_model.get(model, [])
    good = [row for row in rows if row.success]
    quality = statistics.clustered_interval(by_cluster(replies.scores(model, weights)))
    return {
        "total_tests": len(rows),
        "successes": len(good),
        "failures": len(rows) - len(good),
        "success_rate": len(good) / len(rows) if rows else None,
        "success_rate_ci": statistics.wilson(len(good), len(rows)),
        **_speed([row for row in good if not row.batched and row.latency_ms is not None]),
        "avg_tokens": statistics.mean(known(row.tokens for row in good)),
        "quality": quality.mean if quality else None,
        "quality_ci": statistics.possible(quality.interval) if quality else None,
        "quality_clusters": quality.n if quality else 0,
        "layers": _layers(model, replies),
        "first_reply_ms": next(iter(known(row.first_reply_ms for row in loadings)), None),
        "peak_memory_mb": _peak(rows, loadings),
        "process_peak_mb": max(known(row.process_mb for row in loadings), default=None),
    }


def _speed(timed: Sequence[Reply]) -> dict[str, Any]:
    latencies = known(row.latency_ms for row in timed)
    return {
        "timed_replies": len(latencies),
        "avg_latency_ms": statistics.mean(latencies),
        "p50_latency_ms": statistics.median(latencies),
        "p95_latency_ms": statistics.p95(latencies),
        "max_latency_ms": max(latencies, default=None),
        "avg_ttft_ms": statistics.mean(known(row.ttft_ms for row in timed)),
        "p50_ttft_ms": statistics.median(known(row.ttft_ms for row in timed)),
        "inter_token_ms": statistics.median(known(row.inter_token_ms for row in timed)),
        "tokens_per_second": statistics.median(known(row.tokens_per_second for row in timed)),
        "characters_per_second": statistics.median(known(row.characters_per_second for row in timed)),
    }


def _peak(rows: Sequence[Reply], loadings: Sequence[Evaluation]) -> float | None:
    """Peak of the model as JARVIS would use it, in MB: a batch holds several replies at once and is left out."""
    peaks = [row.peak_memory_mb for row in rows if not row.batched] + [row.load_peak_mb for row in loadings]
    return max(known(peaks), default=None)


def _layers(model: str, replies: Replies) -> dict[str, Any]:
    """{layer: {"mean", "ci", "n", "clusters"}}: n replies; mean and ci None where a layer was not measured."""
    values: dict[str, Any] = {layer: lambda row, layer=layer: replies.layer(row, layer) for layer in LAYERS}
    values["bits_per_character"] = lambda row: _number(row.bits_per_character)
    found = {}
    for layer, value in values.items():
        most = 1.0 if layer in LAYERS else math.inf
        estimate = statistics.clustered_interval(by_cluster(replies.means(model, value)))
        found[layer] = {
            "mean": estimate.mean if estimate else None,
            "ci": statistics.possible(estimate.interval, high=most) if estimate else None,
            "n": len(known(value(row) for row in replies.by_model.get(model, ()))),
            "clusters": estimate.n if estimate else 0,
        }
    return found


def gates(figures: Mapping[str, Any], limits: Mapping[str, float | None]) -> list[str]:
    """Why a model may not be chosen, whatever its quality; empty where it may. Nothing measured, nothing missed."""
    reasons = []
    share, peak, p95 = (figures[name] for name in ("success_rate", "peak_memory_mb", "p95_latency_ms"))
    if (least := limits.get("success")) is not None and share is not None and share < least:
        reasons.append(f"{figures['successes']} of {figures['total_tests']} replies usable, under {100 * least:.0f} %")
    if (most := limits.get("memory_mb")) is not None and peak is not None and peak > most:
        reasons.append(f"peak of {peak:.0f} MB, over {most:.0f} MB")
    if (slowest := limits.get("p95_ms")) is not None and p95 is not None and p95 > slowest:
        reasons.append(f"p95 of {p95 / 1000:.1f} s a reply, over {slowest / 1000:.1f} s")
    return reasons
