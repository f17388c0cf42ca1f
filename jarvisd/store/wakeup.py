"""Huey, isolated. A Huey message is only a wake-up signal; the database decides what runs.

Huey keeps its messages in tables of the same database, so that a row and its message are stored together or not at
all. It deletes a message before the work is done, so a lost one must cost nothing: the daemon also polls. Once a
message is committed, a signal through the wake-up channel ends the wait of the daemon's consumer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import peewee

from jarvisd import store
from jarvisd.store import database, queries
from jarvisd.store.models import Job, Status
from jarvisd.store.signals import QUEUE, put, queue_of, signal_daemon

with store.driver_hidden():
    from huey.api import Huey
    from huey.contrib.sql_huey import SqlStorage
    from huey.registry import Message
    from huey.serializer import Serializer

_log = logging.getLogger("jarvisd.store.wakeup")


class JSONMessages(Serializer):
    """Messages as JSON: a program that can write to the queue's table must not be able to run code as the user."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data._asdict()).encode()

    def _deserialize(self, data: bytes) -> Message:
        fields = json.loads(data)
        if not isinstance(fields, dict) or not set(fields) <= set(Message._fields):
            raise ValueError("not a message of this queue")
        return Message(**fields)


class WakeUpStorage(SqlStorage):
    """Huey's tables, read without a write lock where nothing waits in them.

    While another process holds the write lock, the queue counts as empty: a job could not be claimed either.
    """

    is_held = False  #: whether that has been logged
    #: Waits for a signal or for the next poll; set by the daemon, whose consumer then does not poll by itself.
    wait: Callable[[], None] | None = None
    #: Waits for the end of an outage of the database, which an error may mean; set by the daemon.
    outlast: Callable[[Exception], bool] | None = None

    @property
    def blocking(self) -> bool:
        """Whether `dequeue` waits; Huey's consumer asks."""
        return self.wait is not None

    def dequeue(self) -> bytes | None:
        """Take the next message, or wait. None when there was none, or the database is held or out of reach."""
        try:
            if self.queue_size():
                return self._take()
        except peewee.PeeweeException as error:
            if self.outlast is None or not self.outlast(error):
                raise
        else:
            if self.wait is not None:
                self.wait()
        return None

    def _take(self) -> bytes | None:
        try:
            with database.unflushed():  # a message that comes back wakes the daemon once more, no more
                data: bytes | None = super().dequeue()
        except peewee.OperationalError as error:
            if not database.is_busy(error):
                raise
            if not self.is_held:
                _log.warning("another process holds the database; jobs start when it has let go")
            self.is_held = True
            return None  # SQLite has waited for some seconds already
        self.is_held = False
        return data

    def read_schedule(self, timestamp: float) -> list[bytes]:
        """Nothing: no message is ever scheduled. Huey asks every second, with a write transaction of its own."""
        return []


class WakeUps:
    """The queue of wake-up messages in one database."""

    def __init__(self, connected: peewee.Database, name: str = QUEUE) -> None:
        self.database, self.name = connected, name
        self.on_wakeup: Callable[[], None] | None = None  #: what the daemon's consumer calls per message
        self.huey = Huey(
            name,
            results=False,
            serializer=JSONMessages(),
            storage_class=WakeUpStorage,
            database=connected,
            create_tables=False,
        )
        #: Put one message into the queue, as `signals.wake_worker` does without Huey.
        self.send = self.huey.task(name="wake_up")(self._received)

    def _received(self, job_id: int) -> None:
        if self.on_wakeup is not None:
            self.on_wakeup()

    @property
    def tables(self) -> list[type[peewee.Model]]:
        """The models of Huey's own tables, for the first migration."""
        storage = self.huey.storage
        return [storage.KV, storage.Schedule, storage.Task, storage.Counter]


_queue: WakeUps | None = None


def messages(machine: str | None = None) -> WakeUps:
    """A machine's queue in the database in force. Built once per connection: it takes a Huey and four model classes."""
    global _queue
    name = QUEUE if machine is None else queue_of(machine)
    if _queue is None or _queue.database is not database.db.obj or _queue.name != name:
        _queue = WakeUps(database.db.obj, name)
    return _queue


def requeue_wakeups(machine: str) -> int:
    """Replace every message of this machine's queue by one for the queued jobs. Returns how many jobs are queued.

    This also drops the messages of an earlier version and whatever another program put there.
    """
    with database.write():
        messages(machine).huey.storage.flush_all()
        queued = [row.id for row in Job.select(Job.id).where(Job.status == Status.QUEUED).order_by(Job.id)]
        if queued:
            put(queue_of(machine), queued[0])
            signal_daemon()
    return len(queued)


def wake_if_due(machine: str) -> bool:
    """Put a message into this machine's queue if a job is due and no message waits. Returns whether it did.

    Nothing is written during a pause: the job could not start.
    """
    if queries.paused(machine, database.now()):
        return False
    storage = messages(machine).huey.storage
    storage.flush_results()  # this queue stores none; a key planted there could revoke every message
    job = queries.next_due(machine, database.now())
    if job is None or storage.queue_size():
        return False
    wake(machine, job.id)
    return True


def wake(machine: str, job_id: int = 0) -> None:
    """Put a message into this machine's queue; the job's id is a hint for people."""
    with database.write():
        put(queue_of(machine), job_id)
        signal_daemon()
