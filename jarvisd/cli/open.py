"""`jarvisctl open`: the local page in the browser."""

from __future__ import annotations

import os
from pathlib import Path

import click

from jarvisd.cli.common import App, note, say
from jarvisd.web import keys, process


@click.command("open")
@click.argument("run", required=False)
@click.option("--url", "as_url", is_flag=True, help="Print an address that logs in once, and how to reach it over SSH.")
@click.pass_obj
def open_page(app: App, run: str | None, as_url: bool) -> None:
    """Open the local page: watch the night, decide, vote, review, history and queue. With RUN it shows that run.

    The page is a process of its own on 127.0.0.1. It works with the daemon off, and ends 15 minutes after its last use.

    \b
    Example:
      jarvisctl open
      jarvisctl open latest
      jarvisctl open --url
    """
    to = _target(app, run)
    page = process.ensure(app.home)
    if as_url:
        _print_url(app, page, to)
        return
    if not _shown(process.write_entrance(app.home, page, to)):
        note("jarvisctl: nothing here can open a browser. On the computer that has one:")
        _print_url(app, page, to)
        return
    say(f"The page is open in the browser (127.0.0.1:{page.port}). It ends by itself when it is not used.")


def _target(app: App, run: str | None) -> str:
    """The page that shows a run; "" for the first page. Raises UsageError for an unknown run."""
    if run is None:
        return ""
    from jarvisd.operations import lookup

    app.need_ledger()
    return f"history/run/{lookup.find_run(run).id}"


def _shown(path: Path) -> bool:
    """Whether a program could be asked to show the file: $BROWSER where it names one, else the desktop's."""
    if os.environ.get("BROWSER"):
        import webbrowser  # late: on a desktop nothing needs it

        return webbrowser.open(path.as_uri())
    from jarvisd.host import machine

    return machine.open_file(path)


def _print_url(app: App, page: process.Running, to: str) -> None:
    """The address alone on stdout."""
    note(f"Over SSH, forward the port first, on the computer with the browser:  ssh -N -L {_forward(page)}")
    note(f"Then open this address there within {keys.TICKET_S} seconds; it logs in once:")
    say(f"{page.login}#{process.ticket(app.home, to)}")


def _forward(page: process.Running) -> str:
    """The arguments of `ssh -L`. The port must be the same on both sides: the page accepts no other address."""
    host = os.environ.get("SSH_CONNECTION", "").split()
    name = f"{os.environ.get('USER', 'you')}@{host[2]}" if len(host) == 4 else "HOST"
    return f"{page.port}:127.0.0.1:{page.port} {name}"
