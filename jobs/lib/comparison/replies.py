"""The replies of a run with their scores, as the comparison reads them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs.lib.results.tables import REAL_TURNS, HeldOutTurn, Reply, Score

#: (cluster, place of the prompt in it) -> mean of a model's samples there, 0..1
Scores = Mapping[tuple[str, int], float]


Prompt = tuple[str, int]


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
        self.turns: dict[int, HeldOutTurn] = {
            row.place: row for row in HeldOutTurn.select().where(HeldOutTurn.run == run_id)
        }
        self.by_model: dict[str, list[Reply]] = defaultdict(list)
        for row in rows:
            self.by_model[row.model].append(row)
        self.scored: dict[int, dict[str, float]] = defaultdict(dict)
        for score in Score.select().join(Reply).where(wanted):
            self.scored[score.reply_id][score.metric] = score.value
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
            return number(row.quality) if row.success else 0.0
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


def number(value: Any) -> float | None:
    return next(iter(known([value])), None)


def by_cluster(values: Scores) -> dict[str, list[float]]:
    """Cluster -> values of its prompts."""
    clusters: dict[str, list[float]] = defaultdict(list)
    for (cluster, _), value in sorted(values.items()):
        clusters[cluster].append(value)
    return clusters
