"""One job with its log, and the log of a run: long ones in parts, the last part as it grows."""

from __future__ import annotations

from pathlib import Path

from jarvisd import logs
from jarvisd.errors import UsageError
from jarvisd.operations import log_lines, lookup, moments, status
from jarvisd.paths import Home
from jarvisd.store import database, models, queries
from jarvisd.store.models import Job, Run
from jarvisd.web import log_text
from jarvisd.web.pages import Answer, Live, Request, Room, get, poll, render
from jarvisd.web.rendering import TEMPLATES
from jarvisd.words import label, plain


def _target(request: Request) -> Job | Run:
    if "run" in request.values:
        return lookup.find_run(request.values["run"])
    if not request.values["job"].isdecimal():
        raise UsageError("a job is named by its number here", "The queue lists them.")
    return lookup.find_job(request.values["job"])


def _job(request: Request) -> Job:
    return lookup.find_job(request.values["job"])


def _log(request: Request, target: Job | Run) -> Path | bytes:
    if isinstance(target, Run):
        return logs.whole_run_log(request.home, target.id)
    return request.home.job_log(target.id)


def job_page(request: Request) -> Answer:
    job = _job(request)
    return render("job.html", **_shown(request, job), name=label(job), facts=_facts(request.home, job))


def run_page(request: Request) -> Answer:
    return render("run_log.html", **_shown(request, _target(request)))


def _shown(request: Request, target: Job | Run) -> dict[str, object]:
    """The part of the log that was asked for. Only the last one grows."""
    text = request.field("part")
    if text and not text.isdecimal():
        raise UsageError("there is no such part of the log", "Parts are numbered from 1.")
    part = log_text.part(_log(request, target), int(text[:9]) if text else None)
    grows = part.number == part.of
    kind = "run" if isinstance(target, Run) else "job"
    path = f"log/{kind}/{target.id}"
    return {
        "target": target,
        "part": part,
        "path": path,
        "state": _state(target),
        "live": request.link(f"{path}/live") if grows else "",
        "is_open": target.status in models.OPEN if isinstance(target, Job) else not queries.is_settled(target),
    }


def _state(target: Job | Run) -> str:
    return " ".join(log_lines.outcome(target, printed=True))


def changes(request: Request) -> Live:
    target = _target(request)
    texts = {"log": log_text.part(_log(request, target), None).text, "outcome": _state(target)}
    if isinstance(target, Run):
        return Live(texts)
    is_open = target.status in models.OPEN
    texts |= {"state": str(target.status), "facts": status.details(target)}
    return Live(texts, {}, {"cancel": not is_open, "retry": is_open})


def version(request: Request) -> str:
    """The size of the log. The name of its file needs no query; a row that is added changes the database."""
    if "run" in request.values:
        return str(log_text.size(logs.run_log(request.home, lookup.find_run(request.values["run"]).id)))
    number = request.values["job"]
    return str(log_text.size(request.home.job_log(int(number)))) if number.isdecimal() else ""


def _facts(home: Home, job: Job) -> list[tuple[str, str]]:
    """What is known of a job, in words, without what is empty."""
    at = database.now()
    facts = [
        ("Run", plain(job.run_id)),
        ("Reason", plain(job.reason)),
        ("Log", log_lines.elsewhere(home, job)),
        ("Started", moments.day_and_time(job.started_at, at) if job.started_at else ""),
        ("Ended", moments.day_and_time(job.ended_at, at) if job.ended_at else ""),
        ("Starts so far", str(job.attempt) if job.attempt else ""),
        ("Memory declared", f"{job.memory_mb:,} MB" if job.memory_mb else ""),
        ("Most memory used", f"{job.peak_memory_mb:,} MB" if job.peak_memory_mb else ""),
        ("Time limit", f"{job.timeout_s:,} s" if job.timeout_s else ""),
        ("Exit status", str(job.exit_code) if job.exit_code is not None else ""),
    ]
    return [(name, value) for name, value in facts if value]


WEB = Room(
    name="log",
    title="",
    templates=TEMPLATES,
    routes=(
        get("job/{job}", job_page),
        poll("job/{job}/live", changes, version),
        get("run/{run}", run_page),
        poll("run/{run}/live", changes, version),
    ),
)
