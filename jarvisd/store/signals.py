"""Wake the daemon: a message in Huey's queue, and a signal through the wake-up channel once it is committed.

The message is written as Huey would write it (a test compares): to import Huey takes longer than all the rest of a
submission.
"""

from __future__ import annotations

import json
import uuid

from jarvisd.store import channel, database, placement

#: The name of Huey's queue, of which each machine of a shared database has one of its own, and that of the task by
#: which its consumer knows what to do.
QUEUE, TASK = "jarvisd", "jarvisd.store.wakeup.wake_up"
_INSERT = "INSERT INTO task (queue, data, priority) VALUES (?, ?, 0.0)"
#: The fields of a message for which nothing is set.
_UNSET = ("eta", "priority", "on_complete", "on_error", "expires", "expires_resolved", "timeout", "chord_config")
_ZERO = ("retries", "retry_delay", "retry_backoff")


def queue_of(machine: str) -> str:
    """The name of the queue that a machine's daemon reads."""
    return f"{QUEUE}.{machine}" if database.is_shared() else QUEUE


def wake_worker(job_ids: list[int]) -> None:
    """Put one message for these jobs into the queue, inside the caller's transaction; none for an empty list.

    In a shared database into the queue of each machine that may take one of them. One is enough for ten thousand
    jobs: the worker that takes it does every due job. The daemon is signalled when the transaction is committed.
    """
    if job_ids:
        is_shared = database.is_shared()
        for queue in map(queue_of, placement.machines_for(job_ids, database.now())) if is_shared else [QUEUE]:
            put(queue, job_ids[0])
        signal_daemon()


def signal_daemon() -> None:
    """Signal this machine's daemon when the transaction is committed."""
    database.after_commit(_signal)


def put(queue: str, job_id: int) -> None:
    """Put a message into one queue; the job's id is a hint for people."""
    database.db.execute_sql(_INSERT.replace("?", database.db.param), (queue, _message(job_id)))


def _message(job_id: int) -> bytes:
    fields = {"id": str(uuid.uuid4()), "name": TASK, "args": [job_id], "kwargs": {}}
    return json.dumps(fields | dict.fromkeys(_UNSET) | dict.fromkeys(_ZERO, 0)).encode()


def _signal() -> None:
    folder = database.folder()
    if folder is not None:
        channel.send(folder)
