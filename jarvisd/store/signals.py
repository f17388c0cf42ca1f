"""Wake the daemon: a message in Huey's queue, and a signal through the wake-up channel once it is committed.

The message is written as Huey would write it (a test compares): to import Huey takes longer than all the rest of a
submission.
"""

from __future__ import annotations

import json
import uuid

from jarvisd.store import channel, database

#: The name of Huey's queue, and that of the task by which its consumer knows what to do.
QUEUE, TASK = "jarvisd", "jarvisd.store.wakeup.wake_up"
_INSERT = "INSERT INTO task (queue, data, priority) VALUES (?, ?, 0.0)"
#: The fields of a message for which nothing is set.
_UNSET = ("eta", "priority", "on_complete", "on_error", "expires", "expires_resolved", "timeout", "chord_config")
_ZERO = ("retries", "retry_delay", "retry_backoff")


def wake_worker(job_ids: list[int]) -> None:
    """Put one message for these jobs into the queue, inside the caller's transaction; none for an empty list.

    One is enough for ten thousand jobs: the worker that takes it does every due job. The daemon is signalled when the
    transaction is committed.
    """
    if job_ids:
        statement = _INSERT.replace("?", database.db.param)
        database.db.execute_sql(statement, (QUEUE, _message(job_ids[0])))
        database.after_commit(_signal)


def _message(job_id: int) -> bytes:
    """A message; the job's id in it is a hint for people."""
    fields = {"id": str(uuid.uuid4()), "name": TASK, "args": [job_id], "kwargs": {}}
    return json.dumps(fields | dict.fromkeys(_UNSET) | dict.fromkeys(_ZERO, 0)).encode()


def _signal() -> None:
    folder = database.folder()
    if folder is not None:
        channel.send(folder)
