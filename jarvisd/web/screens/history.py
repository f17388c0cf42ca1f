"""History: every run with its verdict, one run with its jobs, and its report.html."""

from __future__ import annotations

import re
from html import unescape

from jarvisd.errors import UsageError
from jarvisd.operations import history, lookup, report, status
from jarvisd.operations.status_page import FULL_LIST
from jarvisd.store import models
from jarvisd.store.models import Job, Run
from jarvisd.web.pages import Answer, File, Request, Room, get, render, write_report
from jarvisd.web.rendering import TEMPLATES
from jarvisd.web.screens.queue import page_number
from jarvisd.words import label, plain

#: Runs on one page.
PAGE = 25
#: The report's own policy, which names its style and script by their hashes.
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">')
#: What a policy in a page cannot say.
_NO_FRAMES = "; frame-ancestors 'none'"


def runs(request: Request) -> Answer:
    number, total = page_number(request), Run.select().count()
    entries = history.newest(PAGE, (number - 1) * PAGE)
    return render("history.html", entries=entries, number=number, pages=max(1, -(-total // PAGE)), total=total)


def run(request: Request) -> Answer:
    """One run: its jobs, at most FULL_LIST of them; the queue has them all."""
    chosen = lookup.find_run(request.values["run"])
    shown = status.summary(chosen, FULL_LIST)
    rows = [(job, label(job), status.details(job), job.status in models.OPEN) for job in shown.jobs]
    return render(
        "run.html",
        run=chosen,
        title=plain(chosen.title),
        sentence=status.title(chosen, shown),
        verdict=history.verdict(chosen),
        warnings=[plain(line) for line in chosen.warnings],
        rows=rows,
        total=shown.total,
        is_open=shown.state != "settled",
        has_report=(request.home.run_folder(chosen.id) / "report.html").is_file() or report.can_be_rendered(chosen),
        has_report_job=Job.select().where(Job.run == chosen.id, Job.is_report).exists(),
    )


async def report_page(request: Request) -> Answer:
    """report.html as it is, under its own policy: two policies at once would stop its script.

    One that another machine has written is rendered here first.
    """
    chosen = lookup.find_run(request.values["run"])
    path = request.home.run_folder(chosen.id) / "report.html"
    if not report.is_rendered(request.home, chosen, "report.html") and report.can_be_rendered(chosen):
        await write_report(request.home, chosen)
    if not path.is_file() or not report.is_current(chosen):
        remedy = "The run's page says what became of its jobs."
        raise UsageError(f"{plain(chosen.id)} has no finished report.html", remedy)
    content = path.read_bytes()
    policy = _POLICY.search(content[:5000].decode(errors="replace"))
    return File(content, "text/html; charset=utf-8", unescape(policy[1]) + _NO_FRAMES if policy else None)


WEB = Room(
    name="history",
    title="History",
    templates=TEMPLATES,
    place=50,
    routes=(get("", runs), get("run/{run}", run), get("report/{run}", report_page)),
)
