"""Submit a plan or a program: a form that is checked as it is typed, by what the plan itself allows."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from jarvisd.errors import JarvisError, UsageError
from jarvisd.web.pages import Answer, Confirm, GoTo, Live, Request, render
from jarvisd.words import counted, plain

if TYPE_CHECKING:
    from jarvisd.operations.submit import Submitted
    from jarvisd.plan.rows import Start

#: Jobs that are named; more are counted.
_MOST_NAMED = 15
#: The only kind whose settings are typed as a command.
_PROGRAM = "command"


def form(request: Request) -> Answer:
    plans = sorted(path.stem for path in request.home.config_files("plans/*.yaml"))
    kept = {name: request.field(name) for name in ("plan", "settings", "only", "until", "program", "cwd")}
    return render("submit.html", plans=plans, kept=kept)


def check(request: Request) -> Live:
    """What a submission would store, or what is wrong, for the form's own line."""
    try:
        lines, notes = _preview(request)
    except JarvisError as error:
        return Live({"check": str(error)})
    return Live({"check": "\n".join([*lines, *notes])})


def _preview(request: Request) -> tuple[list[str], list[str]]:
    """The jobs, and the warnings."""
    if request.field("what") == _PROGRAM:
        words = _program(request)
        return [f"Runs {words[0]} with {counted(len(words) - 1, 'argument')} in {_folder(request)}."], []
    from jarvisd.operations import submit  # late, as below: only this form needs it

    jobs, warnings = submit.preview_plan(
        request.home, request.field("plan"), _settings(request), only=_only(request), until=_until(request)
    )
    more = [f"and {len(jobs) - _MOST_NAMED:,} more"] if len(jobs) > _MOST_NAMED else []
    names = ", ".join([*jobs[:_MOST_NAMED], *more])
    return [f"{counted(len(jobs), 'job')}: {names}."], [f"warning: {line}" for line in warnings]


def _settings(request: Request) -> list[str]:
    """A.B=VALUE, one per line."""
    return [line.strip() for line in request.field("settings").splitlines() if line.strip()]


def _only(request: Request) -> list[str]:
    return request.field("only").replace(",", " ").split()


def _until(request: Request) -> str | None:
    return request.field("until").strip() or None


def _program(request: Request) -> list[str]:
    """The words of the command. No shell reads them."""
    try:
        words = shlex.split(request.field("program"))
    except ValueError as error:
        raise UsageError(f"the command cannot be read: {error}", "Close its quotes.") from None
    if not words:
        raise UsageError("no program given", "For example: python3 train.py --epochs 3")
    return words


def _folder(request: Request) -> str:
    return request.field("cwd").strip() or "~"


def submit_form(request: Request) -> Answer:
    """Ask, with the jobs and the warnings; then submit."""
    lines, notes = _preview(request)
    is_program = request.field("what") == _PROGRAM
    name = "the command" if is_program else f"the plan {request.field('plan')}"
    state = "\n".join([request.field("program"), _folder(request), *_settings(request)])
    ask = Confirm(f"Submit {plain(name)}?", lines, notes, button="Submit", state=state)
    if not request.confirms(ask):
        return ask
    from jarvisd.operations import service

    submitted = _submit_program(request) if is_program else _submit_plan(request)
    error = service.start_for_job(request.home)
    new = "Submitted" if submitted.new else "Tonight's run was submitted before"
    return GoTo(f"history/run/{submitted.run_id}", f"{new}: {submitted.run_id}.{f' {error}' if error else ''}")


def _start(request: Request) -> Start:
    from jarvisd.plan.rows import Start

    return Start(request.field("at").strip() or None)


def _submit_plan(request: Request) -> Submitted:
    from jarvisd.operations import submit

    return submit.submit_plan(
        request.home,
        request.field("plan"),
        _settings(request),
        only=_only(request),
        until=_until(request),
        again=bool(request.field("again")),
        start=_start(request),
    )


def _submit_program(request: Request) -> Submitted:
    timeout = request.field("timeout").strip()
    if timeout and not (timeout.isdecimal() and 1 <= int(timeout[:9]) <= 10**8):
        raise UsageError(f"{timeout!r} is not a number of seconds", "Write a whole number, or leave it empty.")
    from jarvisd.operations import submit

    return submit.submit_command(
        request.home,
        _program(request),
        cwd=_folder(request),
        name=request.field("name").strip() or None,
        timeout_s=int(timeout) if timeout else None,
        until=_until(request),
        start=_start(request),
    )
