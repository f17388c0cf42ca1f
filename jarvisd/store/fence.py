"""The writes of an attempt, as statements: `transitions.py` executes them, and so does `worker/light.py`.

It imports next to nothing, because the child of a command must start within milliseconds.
"""

import os

#: The schema of jarvisd's own tables that the database has.
SCHEMA_FOUND = "SELECT MAX(number) FROM migration WHERE package = 'jarvisd'"
#: The fence: a row where this attempt (id, attempt) is the current one. Without it nothing is written.
CURRENT = "SELECT 1 FROM job WHERE id = ? AND attempt = ? AND status = 'running'"
#: A row where the user has not cancelled this job: (id).
WANTED = "SELECT 1 FROM job WHERE id = ? AND NOT cancel_requested"
#: This attempt is about to begin the job's own code, so the start counts: (id).
WORK_BEGAN = "UPDATE job SET work_began = TRUE, starts_without_progress = 0 WHERE id = ?"
#: What the job's code returned: (JSON document, id).
OUTCOME = "UPDATE job SET outcome = ? WHERE id = ?"

#: Every commit reaches the disk itself: on macOS only with `fullfsync`.
DURABLE = {
    "synchronous": 2,
    "fullfsync": 1,
    "checkpoint_fullfsync": 1,
    "secure_delete": 1,  # what is deleted is overwritten: it may be text of a message
}
#: How long a statement waits for another process's write transaction, in seconds.
BUSY_TIMEOUT_S = 10.0


def schema(package: str = os.path.dirname(__file__)) -> int:
    """The schema that the code of a package's folder knows, jarvisd's own if not given: the highest script's number."""
    scripts = os.listdir(os.path.join(package, "schema"))
    return max(int(name.partition("_")[0]) for name in scripts if name.endswith(".sql"))


def refusal(job_id: int, attempt: int) -> str:
    """What is said where the fence refuses a write."""
    return f"attempt {attempt} of job {job_id} is over; what it wrote is refused"
