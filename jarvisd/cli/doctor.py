"""`jarvisctl doctor`: every check, with its remedy."""

from __future__ import annotations

import dataclasses
import json

import click

from jarvisd.cli.common import App
from jarvisd.operations import doctor as doctors
from jarvisd.operations.doctor.check import Check
from jarvisd.words import counted, plain

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def doctor(app: App, as_json: bool) -> int:
    """Check every reason why tonight's run could fail. Exit code 1 when a check finds a problem.

    \b
    Example:
      jarvisctl doctor
      jarvisctl doctor --json
    """
    checks: list[Check] = []
    for check in doctors.examine(app.home):
        checks.append(check)
        if not as_json:
            _print(check)
    problems = sum(check.state == "problem" for check in checks)
    if as_json:
        rows = [dataclasses.asdict(check) for check in checks]
        click.echo(json.dumps({"ok": not problems, "checks": rows}, indent=2))
    else:
        warnings = sum(check.state == "warning" for check in checks)
        click.echo(f"\n{counted(problems, 'problem')}, {counted(warnings, 'warning')}.")
    return int(bool(problems))


def _print(check: Check) -> None:
    click.echo(f"{click.style(f'{check.state:<8}', fg=_COLOURS[check.state])} {check.name}: {plain(check.what)}")
    if check.remedy:
        click.echo(f"{'':<9}{plain(check.remedy)}")
