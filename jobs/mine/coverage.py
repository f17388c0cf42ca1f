"""Which k messages have the most messages within a given similarity: weighted maximum coverage.

Greedy choice is within 1 - 1/e of the best (Nemhauser, Wolsey and Fisher 1978) where any text may be chosen. Here no
text within the radius of a chosen one may, so the bound is a guide and not a guarantee. Every member of a template lies
within the radius of the template itself. The neighbour lists come from blocks of one matrix product, so memory is
bounded by the lists that are kept and not by n x n. The same input gives the same result: ties go to the text that
comes first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.matching.rules import SLACK
from jobs.lib.stopping import Stopped

_BLOCK_BYTES = 64 << 20  # of one block of the product
MAX_NEIGHBOURS = 60_000_000  # entries of all lists together, 4 bytes each
#: A text that occurs once is no template, however many resemble it.
LEAST_USES = 2

Vectors = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """For some candidates, the texts within the radius of each, themselves included."""

    candidates: NDArray[np.int32]  #: (c) places of the candidates, ascending
    lists: list[NDArray[np.int32]]  #: (c) places of the texts near each, ascending

    def of(self, chosen: list[int]) -> list[NDArray[np.int32]]:
        """The lists of texts given by their places."""
        at = {int(place): number for number, place in enumerate(self.candidates)}
        return [self.lists[at[place]] for place in chosen]


def blocks(rows: int, columns: int) -> list[slice]:
    """Slices of `rows` such that slice x columns float32 numbers stay within a block."""
    size = max(1, min(rows, _BLOCK_BYTES // (4 * max(1, columns))))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def neighbours(
    vectors: Vectors,
    candidate: NDArray[np.bool_],
    weights: NDArray[np.float32],
    similarity: float,
    *,
    least: float = 1.0,
    progress: Progress = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Neighbours:
    """The lists of all candidates that have at least `least` messages near them.

    vectors (u, d) unit rows; candidate (u) bool; weights (u) messages per text. The most frequent texts come first, so
    that lists beyond MAX_NEIGHBOURS are those of the rarest texts. Raises Stopped.
    """
    places = np.flatnonzero(candidate).astype(np.int32)
    kept: list[int] = []
    lists: list[NDArray[np.int32]] = []
    entries = 0
    for block in blocks(len(places), len(vectors)):
        if should_stop():
            raise Stopped
        progress(block.start, len(places))
        near = vectors[places[block]] @ vectors.T >= similarity - SLACK
        worth = near @ weights >= least
        for row in np.flatnonzero(worth):
            neighbours = np.flatnonzero(near[row]).astype(np.int32)
            entries += len(neighbours)
            if entries > MAX_NEIGHBOURS:
                return Neighbours(np.array(kept, dtype=np.int32), lists)
            kept.append(int(places[block][row]))
            lists.append(neighbours)
    progress(len(places), len(places))
    return Neighbours(np.array(kept, dtype=np.int32), lists)


def widened(near: Neighbours, wanted: NDArray[np.intp]) -> Neighbours:
    """Lists over the texts at the places `wanted` (ascending) as lists over all texts; the others have none."""
    places = wanted.astype(np.int32)
    return Neighbours(places[near.candidates], [places[members] for members in near.lists])


def greedy(
    near: Neighbours,
    weights: NDArray[np.float32],
    count: int,
    least: float = 1.0,
    *,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[list[int], list[float]]:
    """At most `count` candidates, each adding the most weight to those before it, and what each adds.

    weights (u) messages per text. A text is chosen only if `allowed` (u) admits it, it was itself written LEAST_USES
    times, and it lies outside the radius of those chosen before: no template twice in other words. Ends when the best
    candidate adds less than `least`. Lazy evaluation (Minoux 1978): what a candidate adds can only shrink.
    """
    left = weights.astype(np.float64)
    closed: NDArray[np.bool_] = weights[near.candidates] < LEAST_USES
    if allowed is not None:
        closed |= ~allowed[near.candidates]
    at = {int(place): number for number, place in enumerate(near.candidates)}
    heap = [(-float(left[members].sum()), number) for number, members in enumerate(near.lists) if not closed[number]]
    heapq.heapify(heap)
    chosen: list[int] = []
    gains: list[float] = []
    while heap and len(chosen) < count:
        _, number = heapq.heappop(heap)
        gain = float(left[near.lists[number]].sum())
        if closed[number]:
            continue
        if heap and (-gain, number) > heap[0]:
            heapq.heappush(heap, (-gain, number))
            continue
        if gain < least:
            break
        chosen.append(int(near.candidates[number]))
        gains.append(gain)
        left[near.lists[number]] = 0.0
        closed[[at[int(place)] for place in near.lists[number] if int(place) in at]] = True
    return chosen, gains


def covered(near: Neighbours, chosen: list[int], size: int) -> NDArray[np.bool_]:
    """(size) which texts lie within the radius of a chosen one."""
    mask = np.zeros(size, dtype=np.bool_)
    for members in near.of(chosen):
        mask[members] = True
    return mask


def cumulative_shares(near: Neighbours, chosen: list[int], weights: NDArray[np.float32]) -> list[float]:
    """Share of `weights` within the radius of the first 1, 2, ... of the chosen."""
    left = weights.astype(np.float64)
    total = float(left.sum())
    reached, shares = 0.0, []
    for members in near.of(chosen):
        reached += float(left[members].sum())
        left[members] = 0.0
        shares.append(reached / total if total else 0.0)
    return shares


def in_any_cluster(
    vectors: Vectors,
    weights: NDArray[np.float32],
    *,
    distance: float = 0.35,
    least: float = 5.0,
    progress: Progress = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> NDArray[np.bool_]:
    """(u) which texts DBSCAN(metric="cosine", eps=distance, min_samples=least) puts into any cluster.

    Exact, on unique texts with weights: a text is in a cluster when at least `least` messages lie within the distance
    of it (a core), or when a core does. Which cluster it is does not matter here, so no graph is kept. Raises Stopped.
    """
    limit = 1.0 - distance - SLACK
    core = np.zeros(len(vectors), dtype=np.bool_)
    for block in blocks(len(vectors), len(vectors)):
        if should_stop():
            raise Stopped
        progress(block.start, len(vectors))
        core[block] = (vectors[block] @ vectors.T >= limit) @ weights >= least
    member = core.copy()
    cores, others = vectors[core], np.flatnonzero(~core)
    for block in blocks(len(others), len(cores)) if len(cores) else []:
        if should_stop():
            raise Stopped
        member[others[block]] = (vectors[others[block]] @ cores.T >= limit).any(axis=1)
    progress(len(vectors), len(vectors))
    return member
