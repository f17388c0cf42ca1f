"""Queue: every job, by state, kind and run, and what can be done with all that match."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass

from jarvisd import registry
from jarvisd.errors import UsageError
from jarvisd.operations import control, status
from jarvisd.store import models, queries
from jarvisd.store.models import Job, Status
from jarvisd.web.pages import Answer, Confirm, GoTo, Live, Request, Room, get, poll, post, render
from jarvisd.web.rendering import TEMPLATES
from jarvisd.web.screens import submission
from jarvisd.web.screens.acts import named, start_error
from jarvisd.words import counted, label, plain

#: Jobs on one page.
PAGE = 50


@dataclass(frozen=True)
class Filter:
    """Which jobs are shown. "" = all."""

    state: str
    kind: str
    run: str  #: the beginning of its id
    name: str  #: the beginning of the job's name

    @classmethod
    def of(cls, request: Request) -> Filter:
        return cls(*(request.field(name).strip() for name in ("state", "kind", "run", "name")))

    def counts(self) -> dict[str, int]:
        """The jobs that match, by state."""
        return queries.count_by_status(queries.matching(self.state, self.kind, self.run, self.name))

    def of_states(self, states: Collection[Status]) -> list[Job]:
        rows = queries.matching(self.state, self.kind, self.run, self.name)
        return list(rows.where(Job.status.in_(states)))


def jobs(request: Request) -> Answer:
    chosen, number = Filter.of(request), page_number(request)
    counts = chosen.counts()
    total = sum(counts.values())
    live = _changes(chosen, number)
    shown = _shown(chosen, number)
    return render(
        "queue.html",
        chosen=chosen,
        rows=shown,
        now=live,
        live=request.link("queue/live", page=number, **asdict(chosen)),
        outline=live.outline,
        states=[str(state) for state in Status],
        kinds=list(registry.registry()),
        total=total,
        counts=status.in_words({Status(name): count for name, count in counts.items()}),
        open_jobs=sum(counts.get(state, 0) for state in models.OPEN),
        unsuccessful=sum(counts.get(state, 0) for state in control.retried_statuses()),
        number=number,
        pages=max(1, -(-total // PAGE)),
        query=asdict(chosen),
        back=_back(chosen, number),
    )


def page_number(request: Request) -> int:
    """The page of a list that was asked for, from 1."""
    text = request.field("page", "1")
    if not text.isdecimal() or not 1 <= int(text[:6]) <= 100_000:
        raise UsageError(f"there is no page {text[:20]!r}", "Pages are numbered from 1.")
    return int(text)


def _back(chosen: Filter, number: int) -> str:
    """Where the forms of this page lead back to."""
    return Request.path("queue", page=number if number > 1 else None, **asdict(chosen))


def _shown(chosen: Filter, number: int) -> list[tuple[Job, str, str]]:
    """The jobs of a page, each with its label and its run's id as they are shown."""
    rows = queries.matching(chosen.state, chosen.kind, chosen.run, chosen.name).paginate(number, PAGE)
    return [(job, label(job), plain(job.run_id)) for job in rows]


def changes(request: Request) -> Live:
    return _changes(Filter.of(request), page_number(request))


def _changes(chosen: Filter, number: int) -> Live:
    texts: dict[str, str] = {}
    disabled: dict[str, bool] = {}
    shown = _shown(chosen, number)
    for job, _label, _run in shown:
        texts |= {f"state-{job.id}": str(job.status), f"facts-{job.id}": status.details(job)}
        is_open = job.status in models.OPEN
        disabled |= {f"cancel-{job.id}": not is_open, f"retry-{job.id}": is_open}
    ids = " ".join(str(job.id) for job, _label, _run in shown)
    return Live(texts, {}, disabled, hashlib.sha256(ids.encode()).hexdigest()[:16])


def cancel(request: Request) -> Answer:
    def act(chosen: list[Job]) -> str:
        return f"{counted(len(control.cancel_jobs(request.home, chosen)), 'job')} cancelled, or being cancelled."

    return _act(request, models.OPEN, "Cancel", act)


def retry(request: Request) -> Answer:
    def act(chosen: list[Job]) -> str:
        retried = control.retry_jobs(request.home, chosen)
        return f"{counted(len(retried.jobs), 'job')} queued.{start_error(retried.start_error)}"

    return _act(request, control.retried_statuses(), "Queue again", act)


def _act(request: Request, states: Collection[Status], verb: str, act: Callable[[list[Job]], str]) -> Answer:
    """Do something with all jobs that match. The answer counts only while they are the same jobs."""
    chosen = Filter.of(request)
    matching = chosen.of_states(states)
    if not matching:
        raise UsageError("no job that matches can be changed", "Choose another filter.")
    ids = " ".join(str(job.id) for job in matching)
    ask = Confirm(f"{verb} {counted(len(matching), 'job')}?", button=verb, notes=named(matching), state=ids)
    if not request.confirms(ask):
        return ask
    return GoTo(_back(chosen, 1), act(matching))


WEB = Room(
    name="queue",
    title="Queue",
    templates=TEMPLATES,
    place=60,
    routes=(
        get("", jobs),
        poll("live", changes),
        post("cancel", cancel),
        post("retry", retry),
        get("new", submission.form, without_database=True),
        post("check", submission.check, without_database=True),
        post("submit", submission.submit_form, without_database=True),
    ),
)
