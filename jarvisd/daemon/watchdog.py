"""How a running job fares: the memory of its whole tree, the computer's, and whether it still does anything.

Time is given to it, by a clock that neither steps nor runs while the computer sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jarvisd.host import machine, processes
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store.models import Job

#: A program of the user's may wait for hours on purpose; its own limit is --timeout.
_MAY_IDLE = ("command",)
#: Part of a time that must be spent on a processor to count as work: a loop that only waits takes less.
_AT_WORK = 0.001


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was measured of a job's tree at one moment."""

    memory_mb: int
    cpu_s: float  #: of all its processes together
    progress: tuple[object, ...]  #: changes when the job gets on
    pressed: bool = False  #: whether the computer is short of memory


def sample(home: Home, job: Job, pid: int) -> Sample:
    """Measure a job whose child is `pid`."""
    memory_mb, cpu_s = processes.tree_use(pid)
    row = Job.select(Job.done, Job.total, Job.note).where(Job.id == job.id).tuples().first() or ()
    log = home.job_log(job.id)
    size = log.stat().st_size if log.exists() else 0
    return Sample(memory_mb=memory_mb, cpu_s=cpu_s, progress=(*row, size), pressed=machine.is_short_of_memory())


class Watchdog:
    """The samples of one attempt, judged."""

    def __init__(self, job: Job, settings: Settings, tell: Callable[[str], None], at: float) -> None:
        self.name, self.declared_mb = job.name, job.memory_mb
        self.soft_mb = job.memory_mb * settings.memory.soft_percent // 100
        self.hard_mb = settings.memory.hard_mb or machine.most_mb()
        self.stall_s = float("inf") if job.kind in _MAY_IDLE else settings.stall.minutes * 60
        self.peak_mb = 0
        self.verdict = ""  #: why the job must be ended, in words
        self._tell, self._told = tell, {"soft": False, "pressed": False}
        self._alive_at, self._cpu_s = at, 0.0
        self._progress: tuple[object, ...] | None = None

    def take(self, found: Sample, at: float) -> str:
        """Judge a sample taken at that time. Returns why the job must be ended, or ""."""
        self.peak_mb = max(self.peak_mb, found.memory_mb)
        self._remark(found)
        if found.memory_mb > self.hard_mb:
            self.verdict = (
                f"it used {found.memory_mb:,} MB, more than the {self.hard_mb:,} MB that a job may use "
                "(memory.hard_mb in settings.yaml)"
            )
        elif self._stalls(found, at):
            self.verdict = f"stalled: no progress and no CPU time for {self.stall_s / 60:g} min"
        return self.verdict

    def _remark(self, found: Sample) -> None:
        """Say once what its owner may want to know in the morning."""
        if self.declared_mb and found.memory_mb > self.soft_mb:
            self._once("soft", f"{self.name} uses {found.memory_mb:,} MB, {self.declared_mb:,} MB were declared")
        if found.pressed:
            self._once("pressed", f"the computer is short of memory; {self.name} uses {found.memory_mb:,} MB")

    def _once(self, what: str, line: str) -> None:
        if not self._told[what]:
            self._told[what] = True
            self._tell(line)

    def _stalls(self, found: Sample, at: float) -> bool:
        least_s = _AT_WORK * min(self.stall_s, 3600)
        if found.progress != self._progress or abs(found.cpu_s - self._cpu_s) > least_s:
            self._alive_at, self._cpu_s, self._progress = at, found.cpu_s, found.progress
        return at - self._alive_at >= self.stall_s
