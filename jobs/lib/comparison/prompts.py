"""What a prompt is: its cluster and its place there, and which of the two measures it belongs to."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping, Sequence

#: Cluster, and the place of the prompt in it.
Prompt = tuple[str, int]
#: Prompt -> mean of a model's samples there, 0..1.
Scores = Mapping[Prompt, float]
#: Prompt -> a model's samples there.
Samples = Mapping[Prompt, Sequence[float]]


class Measure(enum.StrEnum):
    """What a prompt asks of a model."""

    INSTRUCTIONS = "instructions"  #: a scenario with an instruction to follow
    OWN_TURNS = "own_turns"  #: a turn of the owner's history to answer


def measure(prompt: Prompt) -> Measure:
    return Measure.OWN_TURNS if prompt[0].startswith("chat:") else Measure.INSTRUCTIONS


def by_cluster(values: Scores) -> dict[str, list[float]]:
    """Cluster -> values of its prompts."""
    clusters: dict[str, list[float]] = defaultdict(list)
    for (cluster, _), value in sorted(values.items()):
        clusters[cluster].append(value)
    return clusters
