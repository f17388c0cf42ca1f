"""What `status` shows people: a few sentences, and one table of what runs, what waits and what ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jarvisd.operations import machines, moments, queue_order, status
from jarvisd.operations.queue_order import Place, Queue
from jarvisd.operations.status import RunSummary
from jarvisd.store import database, models, queries
from jarvisd.store.models import Job, Run, Status
from jarvisd.words import counted, joined, label, plain

#: With more queued jobs than this only the first FEW are shown.
FULL_LIST = 40
FEW = 5
#: Ended jobs that are shown: those that ended last.
MOST_ENDED = 12
#: Runs of several jobs that have a sentence: those that run, and the newest.
MOST_RUNS = 8


@dataclass(frozen=True)
class Row:
    """One job as a row of the table."""

    job_id: int
    run_id: str
    name: str
    state: Status
    share: float | None  #: of a running job that reports progress: the part that is done, from 0 to 1
    facts: str  #: what is known of it
    remedy: str = ""  #: the verbs of jarvisctl that help with it: "logs 7 / retry 7"

    @property
    def told(self) -> str:
        """Both, for a reader who can type the verbs."""
        return joined(self.facts, self.remedy)


@dataclass(frozen=True)
class Page:
    """The page, without the sentences about the daemon."""

    summaries: list[str]  #: one per run of several jobs, and what failed since yesterday
    rows: list[Row]
    below: list[str]  #: what the table leaves out, and warnings

    @property
    def running(self) -> list[Row]:
        return [row for row in self.rows if row.state == Status.RUNNING]


def of_queue() -> Page:
    """The page of all runs: what runs, what waits, and what ended in open runs, in the newest run, or badly."""
    at = database.now()
    queue = queue_order.now(at)
    runs = status.summaries(status.active_runs())
    told = _to_tell([(run, shown) for run, shown in runs if shown.total > 1], queue)
    sentences = [_summary(run, shown, queue) for run, shown in told]
    sentences += [member.sentence(at) for member in queue.members]
    recent = {run.id for run, _ in [*told, *_to_tell(runs, queue)]}
    warned = [(run, shown) for run, shown in runs if run.id in recent]
    if left := sum(shown.total > 1 for _, shown in runs) - len(told):
        sentences.insert(0, f"{counted(left, 'more run')} of several jobs: `jarvisctl runs` lists them.")
    since = moments.yesterday(at)
    bad = queries.unsuccessful_since(since, MOST_ENDED)
    if bad:
        sentences.append(f"Since yesterday: {status.in_words(queries.ended_since(since))}.")
    ended = {job.id: job for job in [*queries.ended_last([run.id for run, _ in runs], MOST_ENDED), *bad]}
    return Page(sentences, _rows(queue, queue.places, ended.values(), at), _below(queue.queued, warned))


def _to_tell(runs: list[tuple[Run, RunSummary]], queue: Queue) -> list[tuple[Run, RunSummary]]:
    """Those that run and the newest, at most MOST_RUNS, in the order of their submission."""
    running = {job.run_id for job in queue.running}
    first = sorted(runs, key=lambda pair: (pair[0].id not in running, -pair[0].number))[:MOST_RUNS]
    return sorted(first, key=lambda pair: pair[0].number)


def of_run(run: Run) -> Page:
    """The page of one run."""
    at = database.now()
    queue, shown = queue_order.now(at), status.summary(run, FULL_LIST)
    ended = [job for job in shown.jobs if job.status in models.SETTLED]
    mine = Queue([job for job in queue.running if job.run_id == run.id], [], 0, {}, [])
    below = _below(shown.counts.get(Status.QUEUED, 0), [(run, shown)])
    return Page([_summary(run, shown, queue)], _rows(mine, queue.of_run(run.id), ended, at, most=FULL_LIST), below)


def _summary(run: Run, shown: RunSummary, queue: Queue) -> str:
    return f"{status.title(run, shown, queue.reports.get(run.id))}."


def _rows(
    queue: Queue, places: list[Place], ended: Iterable[Job], at: dt.datetime, *, most: int = MOST_ENDED
) -> list[Row]:
    """The running jobs, the queued ones in their order, and those that ended, the last one last."""
    last = sorted(ended, key=lambda job: (job.ended_at or at, job.id))[-most:]
    shown = places if len(places) <= FULL_LIST else places[:FEW]
    where = machines.places(at)
    return [
        *(_row(job, joined(status.details(job, at), where.get(job.machine, ""))) for job in queue.running),
        *(_row(place.job, _place_in_words(place, _ahead(place.job, queue.running, where))) for place in shown),
        *(_row(job, status.details(job, at), _remedy(job)) for job in last),
    ]


def _row(job: Job, facts: str, remedy: str = "") -> Row:
    share = min(1.0, (job.done or 0) / job.total) if job.status == Status.RUNNING and job.total else None
    return Row(job.id, plain(job.run_id), label(job), Status(job.status), share, facts, remedy)


def _ahead(job: Job, running: list[Job], where: Mapping[str, str]) -> int | None:
    """The running job that ends before this one starts: where there are several machines, one on the job's own."""
    return next((each.id for each in reversed(running) if not where or each.machine == job.pinned_to), None)


def _place_in_words(place: Place, running: int | None) -> str:
    """next, after 13; 2nd; 3rd, from 22:30."""
    if place.waits_for:
        return f"{ordinal(place.number)}, {place.waits_for}"
    first = "next" if running is None else f"next, after {running}"
    return first if place.number == 1 else ordinal(place.number)


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _remedy(job: Job) -> str:
    """The verbs that help with a job that did not succeed."""
    if job.status == Status.SUCCEEDED:
        return ""
    return f"logs {job.id} / retry {job.id}" if job.attempt else f"retry {job.id}"


def _below(queued: int, runs: list[tuple[Run, RunSummary]]) -> list[str]:
    """How many queued jobs are not shown, and the first warnings of open runs."""
    lines = []
    if queued > FULL_LIST:
        lines.append(f"{counted(queued - FEW, 'more job')} wait: {queued:,} queued")
    for run, shown in runs:
        name = f"{run.id}: " if len(runs) > 1 else ""
        lines += [f"{name}{line}" for line in status.warnings(run, shown)]
    return lines
