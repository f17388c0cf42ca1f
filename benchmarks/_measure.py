"""Timing two things side by side in one run, so that a noisy machine hits both alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence


def pairs(first: Callable[[], object], second: Callable[[], object], count: int) -> tuple[list[float], list[float]]:
    """Seconds of `count` interleaved calls of each, in alternating order, after one unmeasured call of both."""
    first(), second()
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(count):
        order = ((0, first), (1, second)) if turn % 2 else ((1, second), (0, first))
        for which, call in order:
            began = time.perf_counter()
            call()
            times[which].append(time.perf_counter() - began)
    return times


def ratio_line(label: str, times: Sequence[float], peer: str, peers: Sequence[float]) -> str:
    """The median of the pairwise ratios with their range, and both medians."""
    ratios = sorted(a / b for a, b in zip(times, peers, strict=True))
    own_ms, peer_ms = statistics.median(times) * 1000, statistics.median(peers) * 1000
    return (
        f"{label} takes {statistics.median(ratios):.2f} times {peer} ({ratios[0]:.2f} to {ratios[-1]:.2f}, "
        f"{len(ratios)} pairs; medians {own_ms:.0f} and {peer_ms:.0f} ms)"
    )


def program(*words: str, **environment: str) -> Callable[[], object]:
    """A call that runs a program to its end, its output thrown away."""

    def call() -> None:
        subprocess.run(words, env=os.environ | environment, stdout=subprocess.DEVNULL, check=True)

    return call


def main() -> None:
    """Nothing to ask here: the tools of the others."""
