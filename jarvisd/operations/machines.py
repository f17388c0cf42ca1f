"""The machines of a shared database, for `status`, the page and `doctor`: what each does, since when it is silent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jarvisd.operations.moments import clock_time, stamp
from jarvisd.store import database, machines, placement, queries
from jarvisd.store.machines import State
from jarvisd.store.models import Job, Machine
from jarvisd.words import label, plain

#: States in which nothing is heard of a machine.
UNHEARD = (State.SILENT, State.LOST, State.STOPPED)


@dataclass(frozen=True)
class Member:
    """One machine at one moment."""

    row: Machine
    name: str
    state: State
    job: Job | None  #: what runs on it, as the database says

    def sentence(self, at: dt.datetime) -> str:
        """mini: working on 7 evaluate:qwen3-4b."""
        facts = f" on {self.job.id} {label(self.job)}" if self.state == State.WORKING and self.job is not None else ""
        if self.state in UNHEARD:
            facts = f" since {clock_time(machines.last_turn(self.row), at)}"
        if self.state == State.PAUSED and self.row.paused_until is not None:
            facts = f" until {clock_time(self.row.paused_until, at)}"
        return f"{self.name}: {self.state}{facts}."

    def unheard(self, at: dt.datetime) -> str:
        """MacBook silent since 02:10; "" where it is heard of. A lost machine is silent too."""
        if self.state not in UNHEARD:
            return ""
        word = State.STOPPED if self.state == State.STOPPED else State.SILENT
        return f"{self.name} {word} since {clock_time(machines.last_turn(self.row), at)}"

    def document(self) -> dict[str, Any]:
        """Its part of `status --json`."""
        facts: dict[str, Any] = self.row.facts or {}
        return {
            "name": self.name,
            "state": str(self.state),
            "seen_at": stamp(machines.last_turn(self.row)),
            "version": self.row.version,
            "job": self.job.id if self.job is not None else None,
            **{key: facts.get(key) for key in ("chip", "memory_mb", "models", "reads_messages")},
        }


def members(at: dt.datetime) -> list[Member]:
    """The machines of a shared database where there are several, by name; else none."""
    rows = machines.known() if database.is_shared() else []
    if len(rows) < 2:
        return []
    running = {job.machine: job for job in queries.running()}
    return [_member(row, running.get(row.id), at) for row in rows]


def _member(row: Machine, job: Job | None, at: dt.datetime) -> Member:
    name = plain(row.name or row.id[:8])
    return Member(row, name, machines.state(row, at, works=job is not None), job)


def places(at: dt.datetime) -> dict[str, str]:
    """By id: "on mini", or "MacBook silent since 02:10", to be said of a job that runs there."""
    return {member.row.id: member.unheard(at) or f"on {member.name}" for member in members(at)}


def unheard(at: dt.datetime) -> dict[str, str]:
    """By id: since when the machines are silent of which nothing is heard; a job that is pinned to one waits for it."""
    return {member.row.id: reason for member in members(at) if (reason := member.unheard(at))}


def why_waiting(jobs: Sequence[Job], at: dt.datetime) -> dict[int, str]:
    """By id, of queued jobs: why no machine starts it now, "no machine has org/a@1" or "MacBook silent since 02:10".

    "" for a job that some machine can start, and where one machine has the database: its jobs need no certain one.
    """
    if not database.is_shared():
        return dict.fromkeys([job.id for job in jobs], "")
    rows, silent = machines.known(), unheard(at)
    facts = [row.facts for row in rows]
    return {job.id: placement.why_impossible(job, facts) or _awaited(job, rows, silent) for job in jobs}


def _awaited(job: Job, rows: list[Machine], silent: Mapping[str, str]) -> str:
    """Since when every machine is silent that can run the job."""
    if job.pinned_to is not None:
        return silent.get(job.pinned_to, "")
    reasons = [silent.get(row.id, "") for row in rows if not placement.lacking(job.needs, row.facts)]
    return " and ".join(reasons) if all(reasons) else ""
