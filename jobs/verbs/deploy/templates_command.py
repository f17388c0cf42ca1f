"""`jarvisctl deploy templates`."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jarvisd.cli.common import App
from jarvisd.plugin import JarvisError
from jarvisd.words import counted, plain
from jobs.verbs.deploy.commands import only_alone, print_backup, print_diff, write_if_wanted

if TYPE_CHECKING:
    from jobs.verbs.deploy.files import Applied
    from jobs.verbs.deploy.templates import Wanted
    from jobs.verbs.deploy.templates_record import State

_FIRES = "JARVIS fires only its own templates until its matcher loads this file"


@click.command("templates")
@click.option("--to", "folder", metavar="DIR", help="Where JARVIS keeps its files.  [default: ~/.jarvis]")
@click.option(
    "--tier",
    type=click.Choice(["automatic", "suggest"]),
    help="Write the templates down to this tier, reviewed or not.  [default: those that you kept]",
)
@click.option("--include-deleted", is_flag=True, help="Write those again, too, that were deleted in JARVIS.")
@click.option("--disable-unused", is_flag=True, help="Instead turn off every deployed template that JARVIS never used.")
@click.option("--patch", is_flag=True, help="Print the change of JARVIS that makes it fire them, to apply by hand.")
@click.option("--source", metavar="DIR", help="JARVIS's checkout, for --patch and --check; it is only read.")
@click.option("--check", is_flag=True, help="Only check that what was deployed is still there; exit code 1 if not.")
@click.option("--undo", is_flag=True, help="Put back what the last deploy changed, and nothing else.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--expect", metavar="SHA256", help="Write only where the file has this digest, as when it was previewed.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.pass_obj
def deploy_templates(
    app: App,
    /,
    folder: str | None,
    source: str | None,
    expect: str | None,
    dry_run: bool,
    yes: bool,
    **words: Any,
) -> int:
    """Write the templates that you kept into JARVIS's custom_templates.json.

    JARVIS fires only its own templates until its matcher loads that file: --patch prints the change. Your own templates
    stay as they are; what an earlier deploy wrote is replaced. JARVIS must be restarted afterwards.

    \b
    Example:
      jarvisctl deploy templates --dry-run
      jarvisctl deploy templates --tier automatic --dry-run
      jarvisctl deploy templates --patch --source ~/jarvis
      jarvisctl deploy templates --check
      jarvisctl deploy templates --undo --dry-run
    """
    given = {f"--{option.replace('_', '-')}": value for option, value in words.items()}
    for name in ("--check", "--patch"):
        only_alone(name, {**given, "--dry-run": dry_run})
    for name in ("--undo", "--disable-unused"):
        only_alone(name, given)
    if words["patch"]:
        return _patch(folder, source)
    path = _path(folder)
    if words["check"]:
        return _check(app, path, source)
    return write_if_wanted(_writer(app, path, words, expect), dry_run=dry_run, yes=yes)


def _writer(app: App, path: Path, words: dict[str, Any], expect: str | None) -> Callable[[bool], Applied]:
    """What is asked for, as a function that is told whether it is a dry run."""
    if words["undo"]:
        return partial(_undo, app, path, expect)
    if words["disable_unused"]:
        return partial(_disable, app, path, expect)
    app.need_ledger()
    app.open_ledger()
    return partial(_deploy, app, path, _wanted(words["tier"]), words["include_deleted"], expect)


def _again(path: Path, *words: str) -> str:
    """The command that deals with the same file."""
    named = [] if path.parent == Path("~/.jarvis").expanduser().absolute() else ["--to", str(path.parent)]
    return shlex.join(["jarvisctl", "deploy", "templates", *named, *words])


def _path(folder: str | None) -> Path:
    from jobs.verbs.deploy import files
    from jobs.verbs.deploy import templates as work

    return files.folder(folder) / work.NAME


def _wanted(tier: str | None) -> Wanted:
    from jobs.verbs.deploy import templates as work

    if tier is None:
        return work.reviewed()
    return work.of_tiers(("automatic",) if tier == "automatic" else ("automatic", "suggest"))


def _deploy(app: App, path: Path, wanted: Wanted, include_deleted: bool, expect: str | None, dry_run: bool) -> Applied:
    from jobs.verbs.deploy import templates as work
    from jobs.verbs.deploy import templates_record as record

    known = record.state(app.home, path, work.read(path))
    deleted = known.deleted if known and not include_deleted else frozenset()
    fresh = [item for item in wanted.entries if item["id"] not in deleted]
    done = work.apply(path, lambda document: work.merge(document, fresh, _now()), dry_run=dry_run, expected=expect)
    _show(path, done, dry_run)
    stayed = [item for item in wanted.entries if item["id"] in deleted]
    if stayed:
        click.echo(
            f"{counted(len(stayed), 'template')} deleted in JARVIS: not written again without --include-deleted."
        )
    if wanted.without_trigger:
        click.echo(
            f"{counted(wanted.without_trigger, 'template')} left out: no message without a name in it predicts them."
        )
    if not dry_run:
        record.remember(app.home, path, [item["id"] for item in fresh], deleted, done)
    _say_effect(path, done)
    return done


def _say_effect(path: Path, done: Applied) -> None:
    """That JARVIS does not fire them, unless it has used one of the file before."""
    from jobs.verbs.deploy import templates as work

    if not any(work.used(item) for item in done.after["templates"]):
        click.echo(f"{_FIRES}: `{_again(path, '--patch')}` prints the change.")


def _disable(app: App, path: Path, expect: str | None, dry_run: bool) -> Applied:
    from jobs.verbs.deploy import templates as work
    from jobs.verbs.deploy import templates_record as record

    if not path.exists():
        raise JarvisError(f"there is no {path}", "--to DIR names the folder in which JARVIS keeps it.")
    document = work.read(path)
    if not any(work.used(item) for item in document["templates"]):
        raise JarvisError(
            f"no template of {path} has a usage count, so nothing tells the unused ones apart",
            f"{_FIRES}: `{_again(path, '--patch')}` prints the change.",
        )
    done = work.apply(path, lambda current: work.without_unused(current, _now()), dry_run=dry_run, expected=expect)
    _show(path, done, dry_run)
    known = record.state(app.home, path, done.after)
    if not dry_run and done.changed:
        deleted = known.deleted if known else ()
        record.remember(app.home, path, known.ids if known else [], deleted, done)
    return done


def _undo(app: App, path: Path, expect: str | None, dry_run: bool) -> Applied:
    from jobs.verbs.deploy import templates_record as record

    done = record.take_back(app.home, path, dry_run=dry_run, expected=expect)
    if not done.changed:
        click.echo(f"{path} no longer holds what the last deploy wrote: nothing to undo.")
    else:
        _show(path, done, dry_run)
    return done


def _patch(named: str | None, source: str | None) -> int:
    """Print the change on stdout, and on stderr what to do with it. With a checkout JARVIS's folder is not needed."""
    from jobs.verbs.deploy import config_file
    from jobs.verbs.deploy import source as checkout

    folder = Path(source).expanduser() if source else None
    config = _path(named).with_name(config_file.NAME) if folder is None else None
    version = config_file.version(config_file.read(config)) if config is not None and config.exists() else None
    change = checkout.patch(folder, version, config_file.FIRST_READ)
    if not change:
        click.echo(f"The change is in {folder}: its matcher loads custom_templates.json.")
        return 0
    click.echo(change, nl=False)
    where = "" if folder else f" (of config_version {version})" if version else " (of the newest version known)"
    click.echo(f"Save it as a file and apply it in JARVIS's checkout{where}: git apply FILE", err=True)
    return 0


def _check(app: App, path: Path, source: str | None) -> int:
    from jobs.verbs.deploy import files
    from jobs.verbs.deploy import templates as work
    from jobs.verbs.deploy import templates_record as record

    content = files.read(path, work.form(path))
    known = record.state(app.home, path, content.document)
    if known is None:
        raise JarvisError(f"nothing was deployed to {path} from here", f"Do it with `{_again(path)}`.")
    turned = f"; {known.off} of them turned off" if known.off else ""
    if known.lost:
        raise JarvisError(
            f"{len(known.lost)} of {len(known.ids)} deployed templates are no longer in {path}{turned}",
            "JARVIS wrote the file from memory: quit it, deploy again, then start it.",
        )
    record.confirm(app.home, path, content.document, content.raw)
    click.echo(_present(path, known) + turned + ".")
    click.echo(_effect(path, known, source))
    return 0


def _present(path: Path, known: State) -> str:
    gone = sum(uuid in known.deleted for uuid in known.ids)
    if not gone:
        return f"All {len(known.ids)} deployed templates are in {path}"
    return (
        f"{len(known.ids) - gone} of {len(known.ids)} deployed templates are in {path}; {gone} were deleted in JARVIS"
    )


def _effect(path: Path, known: State, source: str | None) -> str:
    """Whether JARVIS fires them, as far as that is known."""
    from jobs.verbs.deploy import source as checkout

    if source is not None:
        folder = Path(source).expanduser()
        if checkout.is_in(folder):
            return f"The matcher of {folder} loads this file."
        command = _again(path, "--patch", "--source", str(folder))
        return f"The matcher of {folder} does not load this file: `{command}` prints the change."
    if known.used:
        return f"JARVIS has used {counted(known.used, 'template')} of this file."
    return f"{_FIRES}: `{_again(path, '--patch')}` prints the change; --source DIR checks whether it is in."


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
    click.echo(f"{path}: would write {sums} (nothing is written)." if dry_run else f"{path}: {sums}.")
    print_backup(done)
    if not dry_run:
        click.echo("JARVIS reads the file only when it starts, and later writes it from memory: restart JARVIS now.")
        click.echo(f"`{_again(path, '--check')}` tells afterwards whether they are still there.")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
