"""The local page's room for the decision: the first screen of a report, and `deploy` with a preview and an undo."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from jarvisd.operations import lookup
from jarvisd.operations import report as report_files
from jarvisd.plugin import Home, JarvisError, Run
from jarvisd.web.pages import Answer, Confirm, GoTo, Page, Request, Room, get, post, render, run_verb, write_report
from jobs.lib.results.tables import DraftReview, TemplateReview, Vote, loaded_models

_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+")


@dataclass(frozen=True)
class Target:
    """One of JARVIS's files."""

    part: str  #: model | templates
    path: Path
    can_undo: bool  #: a deploy of this home is left to undo


def newest(request: Request) -> Page:
    return _decide(request, report_files.newest_reported_run())


def of_run(request: Request) -> Page:
    return _decide(request, lookup.find_run(request.values["run"]))


def _decide(request: Request, run: Run) -> Page:
    file = request.home.run_folder(run.id) / "report.html"
    text = file.read_text(errors="replace") if file.is_file() else ""
    screen = report_files.first_screen(text, request.link(f"history/report/{run.id}"))
    return render(
        "decide.html",
        run=run,
        cards=Markup(screen.cards) if screen else None,  # noqa: S704 - escaped when the report was written
        rest=Markup(screen.rest) if screen else None,  # noqa: S704 - the same
        is_written=bool(text),
        is_old=bool(text) and _has_later_answers(run, file),
        models=loaded_models(run),
        targets=_targets(request.home),
    )


def _has_later_answers(run: Run, file: Path) -> bool:
    """Whether the owner voted or reviewed after the report was written."""
    import datetime as dt

    written = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
    rows = [
        Vote.select().where(Vote.run == run, Vote.created_at > written),
        DraftReview.select().where(DraftReview.run == run.id, DraftReview.created_at > written),
        TemplateReview.select().where(TemplateReview.created_at > written),
    ]
    return any(query.exists() for query in rows)


def _targets(home: Home) -> list[Target]:
    """Both files where JARVIS's folder is there."""
    from jobs.verbs.deploy import files

    try:
        folder = files.folder(None)
    except JarvisError:
        return []
    return [_target(home, folder, part) for part in ("model", "templates")]


def _target(home: Home, folder: Path, part: str) -> Target:
    from jobs.verbs.deploy import config_file, files, templates_record
    from jobs.verbs.deploy import templates as custom

    is_model = part == "model"
    name, record = (config_file.NAME, config_file.RECORD) if is_model else (custom.NAME, templates_record.NAME)
    stored = files.deployed(home.var / record, folder / name)
    return Target(part, folder / name, isinstance(stored, dict) and "undo" in stored)


async def write(request: Request) -> Answer:
    """Write the report of a run again."""
    run = lookup.find_run(request.field("run"))
    await write_report(request.home, run)
    return GoTo(f"decide/run/{run.id}", "The report was written again.")


# ---------------------------------------------------------------------------------------------------------- deploy


async def model(request: Request) -> Answer:
    """Deploy the model that the report says to switch to, or the one that the form names."""
    run = lookup.find_run(request.field("run"))
    name = [key for key in loaded_models(run) if key == request.field("model")]
    return await _deploy(request, "model", [*name, "--run", run.id], "Write this model into JARVIS's config.json?")


async def templates(request: Request) -> Answer:
    """Deploy the templates that the owner kept."""
    return await _deploy(request, "templates", [], "Write these templates into JARVIS's custom_templates.json?")


async def undo(request: Request) -> Answer:
    """Put back what the last deploy of a part changed."""
    part = "templates" if request.field("part") == "templates" else "model"
    return await _deploy(request, part, ["--undo"], f"Undo the last deploy of the {part}?")


async def _deploy(request: Request, part: str, words: list[str], question: str) -> Answer:
    """Show what would change; write it once the user has seen this very change of this very file."""
    from jobs.verbs.deploy import files

    back = GoTo(f"decide/run/{request.field('run')}" if request.field("run") else "decide")
    target = _target(request.home, files.folder(None), part)
    digest = files.digest_of(target.path)
    preview = await run_verb(request.home, "deploy", part, *words, "--dry-run")
    diff, remarks = _split(preview)
    if not diff:
        return GoTo(back.path, " ".join(remarks))
    state = hashlib.sha256(f"{digest} {_TIME.sub('', preview)}".encode()).hexdigest()
    changed = bool(request.field("seen"))
    data = {"diff": diff, "remarks": remarks, "path": target.path, "changed": changed, "back": back.path}
    ask = Confirm(question, button="Write it", state=state, template="preview.html", data=data)
    if not request.confirms(ask):
        return ask
    done = await run_verb(request.home, "deploy", part, *words, "--yes", "--expect", digest)
    return GoTo(back.path, done.strip())


def _split(preview: str) -> tuple[list[str], list[str]]:
    """The lines of the diff, and the sentences after it."""
    lines = preview.rstrip("\n").split("\n")
    end = next((place for place, line in enumerate(lines) if line[:1] not in ("+", "-", "@", " ")), len(lines))
    return lines[:end], lines[end:]


WEB = Room(
    name="decide",
    title="Decide",
    place=20,
    templates=Path(__file__).parent / "pages",
    routes=(
        get("", newest),
        get("run/{run}", of_run),
        post("write", write),
        post("model", model),
        post("templates", templates),
        post("undo", undo),
    ),
)
