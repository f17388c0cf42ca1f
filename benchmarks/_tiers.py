"""How often calibration calls a template automatic, by its true precision: simulated, so that the truth is known.

One template with 30 triggers; each of 90, 180 or 360 calibration turns fires one of them at random and is answered
rightly with the true precision. "as in 0.1.0" chooses and decides on the same turns.
"""

from __future__ import annotations

import numpy as np

from jobs.lib.matching.rules import FIRES_AT
from jobs.lib.stats import wilson
from jobs.mine import tiers
from jobs.mine.tiers import AUTOMATIC, Half, TriggerSet

TRIGGERS, TURNS, TARGET = 30, (90, 180, 360), 0.8
PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
TRIALS = 1000
#: What is wanted: precision -> (least, most) share of trials in which the template is called automatic.
WANTED = {0.6: (0.0, 0.02), 0.95: (0.8, 1.0)}


def simulate(trials: int = TRIALS) -> None:
    print(f"  called automatic (target {TARGET:.0%}) in so many of {trials:,} trials, by true precision:")
    print("    turns  rule         " + "  ".join(f"{precision:>6.2f}" for precision in PRECISIONS))
    for turns in TURNS:
        for name, rule in (("halves", _automatic), ("as in 0.1.0", _automatic_before)):
            shares = [_share(rule, precision, turns, trials) for precision in PRECISIONS]
            print(f"    {turns:5}  {name:11}  " + "  ".join(f"{share:6.1%}" for share in shares))
            if rule is _automatic:
                for precision, (least, most) in WANTED.items():
                    share = shares[PRECISIONS.index(precision)]
                    ends = wilson(round(share * trials), trials)
                    assert ends is not None
                    met = "met" if least <= share <= most else "missed"
                    print(
                        f"           wanted at {precision}: {least:.0%} to {most:.0%}; "
                        f"{share:.1%} (95 % interval {ends[0]:.1%} to {ends[1]:.1%}): {met}"
                    )


def _share(rule: object, precision: float, turns: int, trials: int) -> float:
    assert callable(rule)
    random = np.random.default_rng(round(precision * 1000) + turns)
    return sum(bool(rule(*_part(random, precision, turns))) for _ in range(trials)) / trials


def _part(random: np.random.Generator, precision: float, turns: int) -> tuple[TriggerSet, Half]:
    """Calibration turns, each near one trigger."""
    triggers = TriggerSet(np.arange(TRIGGERS, dtype=np.int32), np.zeros(TRIGGERS, dtype=np.int32), 1)
    near = np.full((turns, TRIGGERS), 0.1, dtype=np.float32)
    near[np.arange(turns), random.integers(0, TRIGGERS, turns)] = FIRES_AT + 0.1
    return triggers, Half(near, random.random((turns, 1)) < precision)


def _automatic(triggers: TriggerSet, part: Half) -> bool:
    return tiers.calibrate(triggers, part.near, part.good, TARGET).tiers == [AUTOMATIC]


def _automatic_before(triggers: TriggerSet, part: Half) -> bool:
    """The rule of 0.1.0: triggers that were wrong even once are dropped until what is left looks right."""
    enabled = np.ones(TRIGGERS, dtype=np.bool_)
    strict = tiers._without_wrong(triggers, part.near, part.good, enabled, TARGET, 1.0)
    return tiers._tiers(triggers, part, strict, TARGET) == [AUTOMATIC]
