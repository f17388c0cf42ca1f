"""Any program as a job. It runs without a shell; its output is the job's log."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jarvisd.plugin import JobContext, Outcome


def run(context: JobContext) -> Outcome:
    """Start the program in this job's process group and wait for it; its exit status decides.

    The daemon starts `program.run` without the rest of jarvisd; see `worker/light.py` of the queue.
    """
    from jarvisd.plugin import Outcome
    from jobs.command import program

    return Outcome(**program.run(context.params, context.should_stop))
