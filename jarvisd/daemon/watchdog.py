"""Watch a running job: the memory of its process tree, the memory of the computer, and whether it makes progress.

The caller passes the time in seconds, read from a monotonic clock that stops during sleep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jarvisd.host import machine, processes
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store.models import Job

#: Kinds that may wait for hours on purpose: a program of the user has --timeout as its limit.
_MAY_IDLE = ("command",)
#: Share of the time that must be CPU time to count as work; a loop that only waits uses less.
_AT_WORK = 0.001


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One measurement of a job's process tree."""

    memory_mb: int
    cpu_s: float  #: CPU seconds of all its processes together
    progress: tuple[object, ...]  #: changes when the job makes progress
    pressed: bool = False  #: whether the computer is short of memory


def progress(job: Job) -> tuple[object, ...]:
    """How far the job says it is."""
    return Job.select(Job.done, Job.total, Job.note).where(Job.id == job.id).tuples().first() or ()


def sample(home: Home, job: Job, pid: int, told: tuple[object, ...] | None = None) -> Sample:
    """Measure a job whose child is `pid`. `told`: how far it says it is; None: the database is asked."""
    memory_mb, cpu_s = processes.tree_use(pid)
    row = progress(job) if told is None else told
    log = home.job_log(job.id)
    size = log.stat().st_size if log.exists() else 0
    return Sample(memory_mb=memory_mb, cpu_s=cpu_s, progress=(*row, size), pressed=machine.is_short_of_memory())


class Watchdog:
    """Judges the samples of one attempt."""

    def __init__(self, job: Job, settings: Settings, append: Callable[[str], None], at: float) -> None:
        self.name, self.declared_mb = job.name, job.memory_mb
        self.soft_mb = job.memory_mb * settings.memory.soft_percent // 100
        self.hard_mb = settings.memory.hard_mb or machine.most_mb()
        self.stall_s = float("inf") if job.kind in _MAY_IDLE else settings.stall.minutes * 60
        self.peak_mb = 0
        self.verdict = ""  #: why the job must be ended, in words
        self._append, self._warned = append, {"soft": False, "pressed": False}
        self._alive_at, self._cpu_s = at, 0.0
        self._progress: tuple[object, ...] | None = None

    def take(self, sample: Sample, at: float) -> str:
        """Judge a sample taken at that time. Returns why the job must be ended, or ""."""
        self.peak_mb = max(self.peak_mb, sample.memory_mb)
        self._remark(sample)
        if sample.memory_mb > self.hard_mb:
            self.verdict = (
                f"it used {sample.memory_mb:,} MB, more than the {self.hard_mb:,} MB that a job may use "
                "(memory.hard_mb in settings.yaml)"
            )
        elif self._stalls(sample, at):
            self.verdict = f"stalled: no progress and no CPU time for {self.stall_s / 60:g} min"
        return self.verdict

    def _remark(self, sample: Sample) -> None:
        """Write each kind of warning to the run log once."""
        if self.declared_mb and sample.memory_mb > self.soft_mb:
            self._once("soft", f"{self.name} uses {sample.memory_mb:,} MB, {self.declared_mb:,} MB were declared")
        if sample.pressed:
            self._once("pressed", f"the computer is short of memory; {self.name} uses {sample.memory_mb:,} MB")

    def _once(self, warning: str, line: str) -> None:
        if not self._warned[warning]:
            self._warned[warning] = True
            self._append(line)

    def _stalls(self, sample: Sample, at: float) -> bool:
        least_s = _AT_WORK * min(self.stall_s, 3600)
        if sample.progress != self._progress or abs(sample.cpu_s - self._cpu_s) > least_s:
            self._alive_at, self._cpu_s, self._progress = at, sample.cpu_s, sample.progress
        return at - self._alive_at >= self.stall_s
