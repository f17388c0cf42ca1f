"""Kinds of job. The queue names a kind's modules here and imports them only when it needs them.

A kind is a package with `run(context) -> Outcome` and a `plan.py` that declares, with pydantic and the standard
library only, what the queue must know of it:

    Section                                 the pydantic model of its part of a plan
    resolve(section, context) -> dict       what a run keeps of it, complete, as JSON (optional)
    jobs(section, context) -> [JobSpec]     its jobs, in order
    check(section, context) -> [MissingRequirement]     what this machine lacks for them

Another package adds a kind with an entry point in the group `jarvisd.jobs`.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from jarvisd.errors import JarvisError
from jarvisd.paths import Home

#: `Job.pinned_to` of a job that is not stored yet: the machine on which its run was submitted.
SUBMITTER = "submitter"


class RunsOn(StrEnum):
    """Which machine may run a job where several share a queue."""

    SUBMITTER = SUBMITTER  #: the one where its run was submitted: it uses files of that one, or its times are compared
    SUBMITTER_OR_OTHER = "submitter-or-other"  #: that one, while it is lost any other: it reads only the database
    ANY = "any"  #: any that has its models and its memory; where it began it stays, unless that machine is lost


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """A job to be stored."""

    name: str  #: unique in its run: "mine", "evaluate:qwen3-4b"
    params: dict[str, Any] = field(default_factory=dict)  #: what `run` is given, as JSON
    memory_mb: int = 0  #: what it needs at its peak; 0 = next to nothing
    timeout_s: int | None = None  #: longest time one attempt may take
    attempts: int | None = (
        None  #: most starts of its `run`, also those that a stop ended; None = until three in a row stored nothing
    )
    #: Variables of its process beside those that every job gets; never a secret: they are stored.
    env: dict[str, str] = field(default_factory=dict)
    reads_messages: bool = False  #: reads the Messages database; `doctor` checks that it may
    runs_on: RunsOn = RunsOn.SUBMITTER
    models: tuple[str, ...] = ()  #: what it loads, as the registry's MODELS_HERE names it: "org/name@commit"

    def columns(self) -> dict[str, Any]:
        """What is stored of it, by the names of the columns of `job`."""
        stored = {name: getattr(self, name) for name in ("name", "params", "memory_mb", "timeout_s", "env")}
        return {**stored, "max_attempts": self.attempts, **self.placed()}

    def placed(self) -> dict[str, Any]:
        """The columns that say where it may run."""
        if self.runs_on == RunsOn.SUBMITTER or self.reads_messages:
            return {"pinned_to": SUBMITTER, "needs": None, "may_move": False}
        needs: dict[str, Any] = {"models": sorted(self.models), "memory_mb": self.memory_mb}
        may_move = self.attempts is None  # what must not run twice is not taken over from a lost machine
        if self.runs_on == RunsOn.ANY:
            return {"pinned_to": None, "needs": needs | {"afresh": True}, "may_move": may_move}
        return {"pinned_to": SUBMITTER, "needs": needs, "may_move": may_move}


@dataclass(frozen=True, kw_only=True)
class MissingDownload:
    """Something that a job needs, that is not on this disk, and that `jarvisctl models fetch` gets by day."""

    name: str  #: what that command calls it
    source: str  #: where it comes from: what two jobs need of one source is one download
    bytes: int = 0  #: 0 = unknown


@dataclass(frozen=True, kw_only=True)
class MissingRequirement:
    """Something this machine lacks. A warning at submission; at night it fails only the job that needs it."""

    job: str  #: name of the job that will fail
    what: str
    remedy: str
    download: MissingDownload | None = None  #: where a download mends it; doctor adds these up instead of listing them

    def __str__(self) -> str:
        return f"{self.job}: {self.what}. {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job's `run` returns: how it ended. A reason must not hold text of a message."""

    ok: bool = True
    reason: str = ""  #: why it failed, or a remark on a success
    summary: dict[str, Any] = field(default_factory=dict)  #: a few figures for the log and `status`
    #: Jobs of the run's next round, each with its kind, in order. They are stored in the transaction that settles
    #: this job as succeeded, with a report behind them, unless the run has that round already. A report begins its
    #: next round even where it failed.
    next_round: tuple[tuple[str, JobSpec], ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlanContext:
    """What a section needs of the rest of its plan: the common keys, and where the plan was read."""

    home: Home
    folder: Path  #: relative paths in the plan are taken from here
    messages: Path  #: the Messages database
    messages_checked: bool = False  #: the caller checks itself whether the Messages database can be read
    run_title: str = ""


@dataclass(frozen=True)
class Kind:
    name: str
    package: str  #: dotted name of the package; `<package>.plan` and `<package>:run`

    def plan(self) -> ModuleType:
        return importlib.import_module(f"{self.package}.plan")

    @property
    def entry(self) -> str:
        return f"{self.package}:run"


#: The kind of job that ends a round: it is due when no other job of its round is queued or running.
FINAL_KIND = "report"
_OWN = ("mine", "evaluate", "command", FINAL_KIND)

#: Kinds whose jobs need none of jarvisd's libraries, so that their child starts within milliseconds: a function of the
#: parameters and of "should it stop?" that returns the fields of an Outcome. See `worker/light.py`.
LIGHT = {"command": "jobs.command.program:run"}

#: Lists of migrations beside the queue's own, in order: dotted name of a sequence of functions.
MIGRATIONS = {"jobs": "jobs.lib.results.tables:MIGRATIONS"}

#: Verbs of jarvisctl that need a job's knowledge; loaded only when called.
VERBS = {
    "demo": "jobs.verbs.demo.commands:demo",
    "deploy": "jobs.verbs.deploy.commands:deploy",
    "export": "jobs.verbs.export.commands:export",
    "match": "jobs.verbs.match:match",
    "models": "jobs.verbs.models:group",
    "report": "jobs.report.commands:report",
    "review": "jobs.verbs.review.commands:review",
    "score": "jobs.evaluate.commands:score",
    "vote": "jobs.verbs.vote.commands:vote",
}


#: Rooms of the local page that need a job's knowledge; loaded when the page starts. See `jarvisd/web/pages.py`.
WEB: dict[str, str] = {
    "compare": "jobs.verbs.compare.web:WEB",
    "decide": "jobs.verbs.deploy.web:WEB",
    "report": "jobs.report.web:WEB",
    "review": "jobs.verbs.review.web:WEB",
    "search": "jobs.verbs.search.web:WEB",
    "trend": "jobs.verbs.trend.web:WEB",
    "vote": "jobs.verbs.vote.web:WEB",
}


def web_rooms() -> list[str]:
    """Dotted names of the rooms: those of WEB, and `WEB` in the module `web` of every other package's kind."""
    packages = [kind.package for name, kind in registry().items() if name not in _OWN]
    own = [f"{package}.web:WEB" for package in packages if importlib.util.find_spec(f"{package}.web")]
    return [*WEB.values(), *own]


#: Reads settings.yaml.
READ_SETTINGS = "jarvisd.plan.settings:read"
#: Renders the report of a run again.
RENDER_REPORT = "jobs.report.render:render"
#: Cuts the first screen out of a report.html.
FIRST_SCREEN = "jobs.report.on_page:first_screen"
#: A module: `python -m MODULE PATH` prints whether the Messages database can be read, as {"messages": N} or
#: {"what": "…", "remedy": "…"}.
PROBE_MESSAGES = "jobs.lib.imessage.probe"
#: Names what is on this disk of the models that a JobSpec may name: a function of a Home.
MODELS_HERE = "jobs.lib.models.here:models_here"
#: The check of `doctor` that adds up the models of a plan that are not on disk.
CHECK_MODELS = "jobs.verbs.models:models_check"
#: What reads each YAML file: a pydantic model, or a function that makes it.
READERS = {
    "settings": "jarvisd.plan.settings:Settings",
    "plan": "jarvisd.plan.plans:model",
    "models": "jobs.lib.models.catalogue:Catalogue",
    "scenarios": "jobs.evaluate.scenarios:ScenarioFile",
    "manual_templates": "jobs.mine.baseline:ManualFile",
}


#: The functions that make the job of one program, without what a plan needs.
_PROGRAMS = "jobs.command.programs"


def programs() -> ModuleType:
    """The module behind `enqueue command`: `one`, `environment` and `check_one`."""
    return importlib.import_module(_PROGRAMS)


@cache
def registry() -> dict[str, Kind]:
    """Every kind by name, in the order in which the sections of a plan become jobs; the report is last."""
    from importlib.metadata import entry_points

    kinds = {name: Kind(name, f"jobs.{name}") for name in _OWN}
    for point in entry_points(group="jarvisd.jobs"):
        kinds.setdefault(point.name, Kind(point.name, point.value))
    kinds[FINAL_KIND] = kinds.pop(FINAL_KIND)
    return kinds


def find(name: str) -> Kind:
    try:
        return registry()[name]
    except KeyError:
        raise JarvisError(f"no kind of job is called {name!r}", f"Known kinds: {', '.join(registry())}.") from None


def load(dotted: str) -> Any:
    """The object that "package.module:name" names."""
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)
