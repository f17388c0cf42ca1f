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
from jobs.verbs.deploy.commands import print_diff

if TYPE_CHECKING:
    from jobs.verbs.deploy.files import Applied


@click.command("templates")
@click.option("--to", "folder", metavar="DIR", help="Where JARVIS keeps its files.  [default: ~/.jarvis]")
@click.option(
    "--tier",
    type=click.Choice(["automatic", "suggest"]),
    default="suggest",
    show_default=True,
    help="The least sure tier to deploy: automatic leaves out what is only worth suggesting.",
)
@click.option(
    "--disable-unused", is_flag=True, help="Instead turn off every template that never fired; none is deleted."
)
@click.option("--check", is_flag=True, help="Only tell whether what was deployed is still there; exit code 1 if not.")
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
    from jobs.verbs.deploy.templates_file import NAME

    return files.folder(folder) / NAME


def _deploy(app: App, path: Path, tier: str, dry_run: bool) -> int:
    from jobs.verbs.deploy import templates as work
    from jobs.verbs.deploy import templates_file

    fresh = work.wanted(("automatic",) if tier == "automatic" else ("automatic", "suggest"))
    done = templates_file.apply(path, lambda found: work.merge(found, fresh, _now()), dry_run=dry_run)
    _show(path, done, dry_run)
    if not dry_run:
        there = {found.get("id") for found in done.after["templates"] if work.is_ours(found)}
        work.remember(app.home, path, [found["id"] for found in fresh if found["id"] in there])
    return 0


def _disable(path: Path, dry_run: bool) -> int:
    from jobs.verbs.deploy import templates as work
    from jobs.verbs.deploy import templates_file

    if not path.exists():
        raise JarvisError(f"there is no {path}", "--to DIR names the folder in which JARVIS keeps it.")
    done = templates_file.apply(path, lambda found: work.without_unused(found, _now()), dry_run=dry_run)
    _show(path, done, dry_run)
    return 0


def _check(app: App, path: Path) -> int:
    from jobs.verbs.deploy import templates as work
    from jobs.verbs.deploy import templates_file

    found = work.missing(app.home, path, templates_file.read(path).document)
    if found is None:
        raise JarvisError(f"nothing was deployed to {path} from here", f"Do it with `{_again(path)}`.")
    count, gone, off = found
    turned = f"; {off} of them turned off" if off else ""
    if gone:
        raise JarvisError(
            f"{gone} of {count} deployed templates are no longer in {path}{turned}",
            "JARVIS wrote the file from memory: quit it, deploy again, then start it.",
        )
    click.echo(f"All {count} deployed templates are in {path}{turned}.")
    return 0


def _show(path: Path, done: Applied, dry_run: bool) -> None:
    """The diff where nothing is written, then the change in one line and by name."""
    from jobs.verbs.deploy import templates as work

    if not done.changed:
        click.echo(f"{path} is as it should be: nothing to change.")
        return
    if dry_run:
        print_diff(work.diff(done.before, done.after))
    found = work.difference(done.before, done.after)
    for sign, names in (("+", found.added), ("~", found.changed), ("-", found.removed)):
        for name in names:
            click.echo(f"  {sign} {plain(name)}")
    sums = f"{len(found.added)} new, {len(found.changed)} changed, {len(found.removed)} removed"
    click.echo(f"{path}: {sums}{' if this were no dry run' if dry_run else ''}.")
    if done.backup is not None:
        click.echo(f"What it was is in {done.backup}.")
    if not dry_run:
        click.echo("JARVIS reads the file only when it starts, and later writes it from memory: restart JARVIS now.")
        click.echo(f"`{_again(path, '--check')}` tells afterwards whether they are still there.")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
