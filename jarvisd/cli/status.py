"""`jarvisctl status`: the daemon, what runs, what waits, and what ended; plain text without rich."""

from __future__ import annotations

import json

import click

from jarvisd.cli.common import App
from jarvisd.cli.table import Screen, page_lines
from jarvisd.errors import UsageError
from jarvisd.operations import daemon_state, lookup, notification, status_page
from jarvisd.operations import status as run_status
from jarvisd.operations.status_page import Page
from jarvisd.store.models import Run

_NO_RUN = "Nothing was submitted yet. `jarvisctl enqueue overnight` submits tonight's run."


@click.command()
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Refresh every second; q ends it, l shows the log, c cancels.")
@click.pass_obj
def status(app: App, run: str | None, as_json: bool, watch: bool) -> None:
    """Show what runs, what waits, in which order and for what, and what failed since yesterday.

    With RUN every job of that run. `logs 7` and `retry 7` beside a job are verbs of jarvisctl.

    \b
    Example:
      jarvisctl status
      jarvisctl status latest --json
    """
    if not app.home.root.is_dir() and app.home.source == "--home":
        raise UsageError(f"the home {app.home.root} does not exist", "Correct --home; `enqueue` and `init` make one.")
    if as_json:
        click.echo(json.dumps(run_status.document(app.home, run), indent=2))
    elif watch:
        from jarvisd.cli.watch import watch as keep_watching

        keep_watching(app, lambda screen: _read(app, run, screen))
    else:
        click.echo("\n".join(lines(app, run)), color=True)


def lines(app: App, name: str | None) -> list[str]:
    """The page as it is printed on stdout."""
    return _read(app, name, Screen.of_stdout())[0]


def _read(app: App, name: str | None, screen: Screen) -> tuple[list[str], Page | None]:
    """The page as lines, and its content."""
    page = _page(app, name)
    below = page_lines(page, screen) if page else [_NO_RUN]
    return [*_head(app, has_database=page is not None), *below], page


def _page(app: App, name: str | None) -> Page | None:
    """What there is to show; None where nothing was submitted here yet."""
    if name:
        lookup.open_database(app.home)
        return status_page.of_run(lookup.find_run(name))
    return status_page.of_queue() if app.look_into_ledger() and Run.select().exists() else None


def _head(app: App, *, has_database: bool) -> list[str]:
    """The lines above the runs."""
    head = [daemon_state.sentence(app.home, has_database=has_database)]
    if not app.home.is_default:
        missing = "" if app.home.root.is_dir() else " (there is no such folder)"
        head.append(f"Home: {app.home.root}{missing}")
    notes = [line for line in (_rescue(app), notification.line(app.home)) if line]
    return [*head, *notes, *daemon_state.night_lines(app.home)]


def _rescue(app: App) -> str | None:
    """What was saved of a damaged database."""
    if not app.home.rescue_note.exists():
        return None
    from jarvisd.store import salvage  # late: few homes have such a note, and `status` must start fast

    return salvage.message(app.home)
