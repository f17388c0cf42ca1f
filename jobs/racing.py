"""How a night's budget is spent: which models get which prompts in the next round, or why there is none.

Round 1 is the plain comparison: every prompt once, every model. Round 2 asks each prompt again and brings the first
turns of the owner's history; every later round brings more turns. A model is left out once its paired upper bound
lies under the leader, and two stay to the end. Models go in reverse order every other round, so that heat and a full
memory do not fall on the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

from jarvisd.kinds import JobSpec


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The jobs of the next round, empty where there is none, and why."""

    why: str
    jobs: tuple[tuple[str, JobSpec], ...] = ()


def propose(run_id: str, round_: int, seconds_left: float) -> Proposal:
    """What round `round_` + 1 should do within `seconds_left`, which is infinite without a deadline."""
    return Proposal(why=f"{run_id} ends with round {round_}, {seconds_left:.0f} s left")
