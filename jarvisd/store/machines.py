"""The machines of a shared database: what each has, and how long it has been silent.

Where the database is of one machine nothing of this is stored: its lock file says whether the daemon lives.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

import peewee

from jarvisd.store import database
from jarvisd.store.models import Machine

#: Without a heartbeat for so long a machine is shown as silent.
SILENT_AFTER = dt.timedelta(minutes=1)
#: Without a heartbeat for so long other machines take over what it ran.
LOST_AFTER = dt.timedelta(minutes=10)
#: Among a machine's facts: its daemon has ended. The facts that the next daemon stores are without it.
_STOPPED = "stopped"


class State(StrEnum):
    """What a machine does."""

    WORKING = "working"  #: a job runs on it
    IDLE = "idle"  #: its daemon waits for a job
    PAUSED = "paused"  #: it starts no new job
    SILENT = "silent"  #: no heartbeat for a minute: it sleeps, its daemon is down, or the database is out of reach
    LOST = "lost"  #: no heartbeat for ten minutes
    STOPPED = "stopped"  #: its daemon has ended on purpose, and was not started again


def known() -> list[Machine]:
    """The machines whose daemon has ever worked on this database, by name; none where it is of one machine."""
    if not database.is_shared():
        return []
    return list(Machine.select().where(Machine.seen_at.is_null(False)).order_by(Machine.name, Machine.id))


def find(machine: str) -> Machine | None:
    return Machine.get_or_none(Machine.id == machine)


def names() -> dict[str, str]:
    """By id: what people call each machine that has ever shared this database."""
    return dict(list(Machine.select(Machine.id, Machine.name).where(Machine.name.is_null(False)).tuples()))


def last_turn(row: Machine) -> dt.datetime:
    """When its worker loop was last seen to turn: a heartbeat alone only proves that a thread lives."""
    turned: dt.datetime | None = row.turned_at
    seen: dt.datetime = row.seen_at
    return seen if turned is None else min(seen, turned)


def is_lost(row: Machine, at: dt.datetime) -> bool:
    return at - last_turn(row) >= LOST_AFTER


def lost(at: dt.datetime) -> list[str]:
    """The ids of the machines that are lost."""
    return [row.id for row in known() if is_lost(row, at)]


def is_still_lost(machine: peewee.Field, at: dt.datetime) -> peewee.Expression:
    """For a statement that must do nothing where the machine in that column has been heard of meanwhile."""
    before = at - LOST_AFTER
    silent = (Machine.seen_at <= before) | (Machine.turned_at <= before)
    expression: peewee.Expression = machine.in_(Machine.select(Machine.id).where(silent))
    return expression


def state(row: Machine, at: dt.datetime, *, works: bool) -> State:
    """What the machine does. `works`: whether the database says that a job runs on it."""
    facts: dict[str, Any] = row.facts or {}
    if facts.get(_STOPPED):
        return State.STOPPED
    if at - last_turn(row) >= SILENT_AFTER:
        return State.LOST if is_lost(row, at) else State.SILENT
    if works:
        return State.WORKING
    paused = row.paused_since is not None and (row.paused_until is None or row.paused_until > at)
    return State.PAUSED if paused else State.IDLE


def register(machine: str, name: str, version: str, facts: dict[str, Any]) -> str:
    """Store what a machine is, as its daemon starts. Returns its name: NAME-2 where another machine has that one."""
    at = database.now()
    with database.write():
        name = _free_name(machine, name)
        values = {"name": name, "version": version, "facts": facts, "seen_at": at, "turned_at": at}
        if not Machine.update(values).where(Machine.id == machine).execute():
            Machine.create(id=machine, **values)
    return name


def _free_name(machine: str, name: str) -> str:
    taken = {row.name for row in Machine.select(Machine.name).where(Machine.id != machine)}
    numbered = (name if n == 1 else f"{name}-{n}" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in numbered if candidate not in taken)


def beat(machine: str, turned_at: dt.datetime, facts: dict[str, Any] | None = None) -> None:
    """Store a heartbeat: one statement of its own, which waits for no write transaction of other machines."""
    values: dict[str, Any] = {"seen_at": database.now(), "turned_at": turned_at}
    if facts is not None:
        values["facts"] = facts
    Machine.update(values).where(Machine.id == machine).execute()


def stop(machine: str) -> None:
    """Store that the daemon of a machine ends. Others wait for it as long as for a silent one: it may start again."""
    row, at = find(machine), database.now()
    if row is not None:
        facts: dict[str, Any] = (row.facts or {}) | {_STOPPED: True}
        Machine.update(facts=facts, seen_at=at, turned_at=at).where(Machine.id == machine).execute()
