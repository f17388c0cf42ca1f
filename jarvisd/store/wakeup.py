"""Huey on the ledger's own database. A message only wakes the worker up; the ledger decides what runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import peewee
from huey.api import Huey
from huey.contrib.sql_huey import SqlStorage
from huey.registry import Message
from huey.serializer import Serializer

from jarvisd.store import database, queries
from jarvisd.store.models import Job, Status


class JSONMessages(Serializer):
    """Messages as JSON: whoever can write to the queue's table must not be able to run code as the user."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data._asdict()).encode()

    def _deserialize(self, data: bytes) -> Message:
        fields = json.loads(data)
        if not isinstance(fields, dict) or not set(fields) <= set(Message._fields):
            raise ValueError("not a message of this queue")
        return Message(**fields)


def build(on_ring: Callable[[], None] | None = None) -> tuple[Huey, Callable[[int], Any]]:
    """Huey over the ledger's database, and the function that puts a message into its queue."""
    huey = Huey(
        "jarvisd",
        results=False,
        serializer=JSONMessages(),
        storage_class=SqlStorage,
        database=database.db.obj,
        create_tables=False,
    )

    @huey.task(name="look")  # type: ignore[untyped-decorator]
    def look(job_id: int) -> None:  # noqa: ARG001 - the id is a hint for people
        if on_ring is not None:
            on_ring()

    return huey, look


def tables() -> list[type[peewee.Model]]:
    """The models of Huey's own tables, for the first migration."""
    huey, _ = build()
    return [huey.storage.KV, huey.storage.Schedule, huey.storage.Task, huey.storage.Counter]


def wake_worker(job_ids: list[int]) -> None:
    """Put one message for these rows into the queue, inside the caller's transaction; none when there are none.

    One is enough for ten thousand: whoever takes it does every due row until none is left.
    """
    if job_ids:
        _, look = build()
        look(job_ids[0])


def requeue_wakeups() -> int:
    """Empty the queue's table and ring for the rows that are owed. Returns how many there are."""
    huey, _ = build()
    with database.write():
        huey.storage.flush_all()  # with what somebody else may have put there
        owed = [row.id for row in Job.select(Job.id).where(Job.status == Status.QUEUED).order_by(Job.id)]
        wake_worker(owed)
    return len(owed)


def wake_if_due(machine: str) -> bool:
    """The daemon's look by itself: if a row is due and no message would say so, ring."""
    huey, _ = build()
    huey.storage.flush_results()  # ours has none; a key planted there could revoke every message
    job = queries.next_due(machine, database.now())
    if job is None or huey.storage.queue_size():
        return False
    with database.write():
        wake_worker([job.id])
    return True
