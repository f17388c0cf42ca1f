"""How far the two measures of a model changed between two runs: each on what both runs asked, by the same weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.lib.comparison import measures, scores, two_measures, winner
from jobs.lib.comparison.measures import Measure as Measured
from jobs.lib.comparison.measures import Quality
from jobs.lib.comparison.pipeline import Comparison
from jobs.lib.comparison.prompts import Measure, Prompt
from jobs.lib.comparison.scores import ReplyScores
from jobs.lib.results.tables import REAL_TURNS

_THEN, _NOW = "then", "now"
_ALONE = {"instructions": 1.0, "own_turns": 0.0}

#: Scenario, incoming message, instruction: the same prompt in another run, whatever its place.
Content = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class MeasureChange:
    """A measure on what both runs asked; `n` prompts or conversations, no interval where a variance was not seen."""

    figure: str  #: instructions, own_turns, or quality
    before: float
    now: float
    ci: list[float] | None
    n: int


def measure_changes(key: str, then: Comparison, now: Comparison) -> list[MeasureChange]:
    """The changes of the model `key`, which both runs have: each measure on its own, then their weighted sum.

    A measure is left out where the runs asked nothing in common, or scored it in two ways. The sum is left out where a
    measure of either run is.
    """
    samples = _common(key, then, now)
    if not any(samples.values()):
        return []
    taken = two_measures.take(samples, now.data.rules.measures)
    parts = [_of_measure(Measure.INSTRUCTIONS, taken.instructions), _of_measure(Measure.OWN_TURNS, taken.own_turns)]
    changes = [part for part in parts if part is not None]
    if taken.quality is None or {change.figure for change in changes} != _measured(key, then) | _measured(key, now):
        return changes
    return [*changes, _change("quality", taken.quality, sum(change.n for change in changes))]


def _of_measure(name: Measure, measure: Measured | None) -> MeasureChange | None:
    if measure is None or not measure.known.all():
        return None
    return _change(str(name), measures.quality(measure, None, _ALONE), int(measure.n.min()))


def _change(figure: str, quality: Quality, n: int) -> MeasureChange:
    before, after = (float(value) for value in quality.value)
    [difference] = winner.differences(quality)
    ends = None if difference.interval is None else [-difference.interval[1], -difference.interval[0]]
    return MeasureChange(figure=figure, before=before, now=after, ci=ends, n=n)


def _measured(key: str, run: Comparison) -> set[str]:
    """The measures that a model has in a run."""
    stats = run.document.models[key].stats
    both = {str(Measure.INSTRUCTIONS): stats.instructions, str(Measure.OWN_TURNS): stats.own_turns}
    return {name for name, figures in both.items() if figures.value is not None}


def _common(key: str, then: Comparison, now: Comparison) -> dict[str, dict[Prompt, list[float]]]:
    """The samples of both runs at the prompts that both asked, under the prompts of `now`."""
    before, after = _by_content(then, key), _by_content(now, key)
    places = {_content(reply): reply.prompt for reply in now.scores[key].replies}
    same_scale = scores.is_read(then.data) == scores.is_read(now.data)
    shared = [content for content in after if content in before and (same_scale or _is_real(content))]
    return {
        name: {places[content]: values[content] for content in shared}
        for name, values in ((_THEN, before), (_NOW, after))
    }


def _by_content(run: Comparison, key: str) -> Mapping[Content, list[float]]:
    samples: dict[Content, list[float]] = defaultdict(list)
    for reply in run.scores[key].replies:
        if reply.quality is not None:
            samples[_content(reply)].append(reply.quality)
    return samples


def _content(reply: ReplyScores) -> Content:
    return reply.row.scenario_id, reply.row.context, reply.row.instruction


def _is_real(content: Content) -> bool:
    return content[0] == REAL_TURNS
