"""`jarvisctl deploy templates`."""

from __future__ import annotations

import datetime as dt
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App
from jarvisd.plugin import JarvisError, UsageError
from jarvisd.words import plain
from jobs.verbs.deploy.commands import print_backup, print_diff

if TYPE_CHECKING:
    from jobs.verbs.deploy.files import Applied


@click.command("templates")
@click.option("--to", "folder", metavar="DIR", help="Where JARVIS keeps its files.  [default: ~/.jarvis]")
@click.option(
    "--tier",
    type=click.Choice(["automatic", "suggest"]),
    default="suggest",
    show_default=True,
    help="The lowest tier to deploy: automatic leaves out templates that are only suggested.",
)
@click.option(
    "--disable-unused", is_flag=True, help="Instead turn off every template that never fired; none is deleted."
)
@click.option("--check", is_flag=True, help="Only check that what was deployed is still there; exit code 1 if not.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.pass_obj
def deploy_templates(app: App, folder: str | None, tier: str, disable_unused: bool, check: bool, dry_run: bool) -> int:
    """Write the templates of the newest run that has some into JARVIS's custom_templates.json.

    Your own templates stay as they are; what an earlier deploy wrote is replaced. JARVIS must be restarted afterwards.

    \b
    Example:
      jarvisctl deploy templates --dry-run
      jarvisctl deploy templates --tier automatic
      jarvisctl deploy templates --check
      jarvisctl deploy templates --disable-unused --dry-run
    """
    if check and (dry_run or disable_unused):
        raise UsageError("--check changes nothing", "Leave out --dry-run and --disable-unused.")
    path = _path(folder)
    if check:
        return _check(app, path)
    if disable_unused:
        return _disable(path, dry_run)
    app.need_ledger()
    app.open_ledger()
    return _deploy(app, path, tier, dry_run)


def _again(path: Path, *words: str) -> str:
    """The command that deals with the same file."""
    named = [] if path.parent == Path("~/.jarvis").expanduser().absolute() else ["--to", str(path.parent)]
    return shlex.join(["jarvisctl", "deploy", "templates", *named, *words])


def _path(folder: str | None) -> Path:
    from jobs.verbs.deploy import files
    from jobs.verbs.deploy import templates as work

    return files.folder(folder) / work.NAME


def _deploy(app: App, path: Path, tier: str, dry_run: bool) -> int:
    from jobs.verbs.deploy import templates as work

    fresh = work.wanted(("automatic",) if tier == "automatic" else ("automatic", "suggest"))
    done = work.apply(path, lambda document: work.merge(document, fresh, _now()), dry_run=dry_run)
    _show(path, done, dry_run)
    if not dry_run:
        written = {item.get("id") for item in done.after["templates"] if work.is_deployed(item)}
        work.remember(app.home, path, [item["id"] for item in fresh if item["id"] in written])
    return 0


def _disable(path: Path, dry_run: bool) -> int:
    from jobs.verbs.deploy import templates as work

    if not path.exists():
        raise JarvisError(f"there is no {path}", "--to DIR names the folder in which JARVIS keeps it.")
    done = work.apply(path, lambda document: work.without_unused(document, _now()), dry_run=dry_run)
    _show(path, done, dry_run)
    return 0


def _check(app: App, path: Path) -> int:
    from jobs.verbs.deploy import templates as work

    counts = work.missing(app.home, path, work.read(path))
    if counts is None:
        raise JarvisError(f"nothing was deployed to {path} from here", f"Do it with `{_again(path)}`.")
    count, gone, off = counts
    turned = f"; {off} of them turned off" if off else ""
    if gone:
        raise JarvisError(
            f"{gone} of {count} deployed templates are no longer in {path}{turned}",
            "JARVIS wrote the file from memory: quit it, deploy again, then start it.",
        )
    click.echo(f"All {count} deployed templates are in {path}{turned}.")
    return 0


def _show(path: Path, done: Applied, dry_run: bool) -> None:
    """Print the diff of a dry run, then the changed templates by name and their numbers."""
    from jobs.verbs.deploy import templates as work

    if not done.changed:
        click.echo(f"{path} is as it should be: nothing to change.")
        return
    if dry_run:
        print_diff(done)
    difference = work.difference(done.before, done.after)
    for sign, names in (("+", difference.added), ("~", difference.changed), ("-", difference.removed)):
        for name in names:
            click.echo(f"  {sign} {plain(name)}")
    sums = f"{len(difference.added)} new, {len(difference.changed)} changed, {len(difference.removed)} removed"
    click.echo(f"{path}: {sums}{' if this were no dry run' if dry_run else ''}.")
    print_backup(done)
    if not dry_run:
        click.echo("JARVIS reads the file only when it starts, and later writes it from memory: restart JARVIS now.")
        click.echo(f"`{_again(path, '--check')}` tells afterwards whether they are still there.")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
