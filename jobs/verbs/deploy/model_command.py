"""`jarvisctl deploy model`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App
from jarvisd.operations import lookup
from jarvisd.plugin import JarvisError, UsageError
from jarvisd.words import plain
from jobs.verbs.deploy.commands import print_backup, print_diff

if TYPE_CHECKING:
    from jarvisd.plugin import Run
    from jobs.verbs.deploy.files import Applied
    from jobs.verbs.deploy.model import Choice


@click.command("model")
@click.argument("name", required=False)
@click.option("--to", "folder", metavar="DIR", help="Where JARVIS keeps its files.  [default: ~/.jarvis]")
@click.option("--run", "run", metavar="RUN", help="The run whose winner it is.  [default: the newest report]")
@click.option(
    "--no-auto-select", is_flag=True, help="Also set auto_select to false, so that JARVIS keeps to the model."
)
@click.option("--check", is_flag=True, help="Only check that what was deployed is still there; exit code 1 if not.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.pass_obj
def deploy_model(
    app: App, name: str | None, folder: str | None, run: str | None, no_auto_select: bool, check: bool, dry_run: bool
) -> int:
    """Write the winner of the newest report, or the model NAME, into JARVIS's config.json.

    NAME is a key or name of a model of the run, or a key of models.yaml. Everything else in the file stays as it is.
    JARVIS must be restarted afterwards.

    \b
    Example:
      jarvisctl deploy model --dry-run
      jarvisctl deploy model qwen3-4b --no-auto-select
      jarvisctl deploy model --check
    """
    from jobs.verbs.deploy import files
    from jobs.verbs.deploy import model as work

    if check and (name or run or no_auto_select or dry_run):
        raise UsageError("--check changes nothing", "Leave out NAME, --run, --no-auto-select and --dry-run.")
    path = files.folder(folder) / work.NAME
    if folder and not path.exists():
        raise JarvisError(f"there is no {path}", "--to names the folder in which JARVIS keeps config.json.")
    if check:
        return _check(app, path)
    choice = work.choose(app.home, _run_to_deploy(app, run), name)
    done = work.apply(path, choice, no_auto_select=no_auto_select, dry_run=dry_run)
    _show(path, choice, done, dry_run)
    if not dry_run:
        work.remember(app.home, path, choice)
    return 0


def _run_to_deploy(app: App, name: str | None) -> Run | None:
    """The run named, else the newest one that compared models and has a report; None where there is none."""
    if name is not None:
        app.need_ledger()
    if not app.look_into_ledger():
        return None
    app.open_ledger()
    if name is not None:
        return lookup.find_run(name)
    from jarvisd.plugin import Job, Run, Status
    from jobs.lib.results.tables import Reply

    query = Run.select().join(Job).where(Job.is_report, Job.status == Status.SUCCEEDED)
    newest: Run | None = query.where(Run.id.in_(Reply.select(Reply.run))).order_by(Run.number.desc()).first()
    return newest


def _show(path: Path, choice: Choice, done: Applied, dry_run: bool) -> None:
    """Print the diff of a dry run, then the change in one line, then warnings."""
    from jobs.verbs.deploy import model as work

    if dry_run:
        print_diff(done)
    model = plain(f"{choice.name} ({work.model_of(done.after)})")
    before = plain(work.model_of(done.before))
    if not done.changed:
        click.echo(f"{path} names {model} already: nothing to change.")
    elif before == work.model_of(done.after):
        click.echo(f"{path}: the model stays {model}, other keys {'would change' if dry_run else 'changed'}.")
    else:
        click.echo(f"{path}: {model} {'would replace' if dry_run else 'replaces'} {before}.")
    print_backup(done)
    if sentences := _compared(choice):
        click.echo(sentences)
    for remark in choice.remarks:
        click.echo(f"Warning: {plain(remark)}")
    if work.selects_itself(done.after):
        click.echo("Warning: auto_select is true, so JARVIS may choose another model; --no-auto-select sets it false.")
    if done.changed and not dry_run:
        click.echo("JARVIS reads the file when it starts: restart JARVIS now.")


def _compared(choice: Choice) -> str:
    """Which revision was compared, or that none was; "" where there is nothing to say."""
    where = "Pinned here is" if choice.not_compared else "Compared was"
    revision = f"{where} its revision {plain(choice.revision)}; JARVIS takes the one it has."
    parts = [f"{choice.not_compared}."] * bool(choice.not_compared) + [revision] * bool(choice.revision)
    return " ".join(parts)


def _check(app: App, path: Path) -> int:
    from jobs.verbs.deploy import model as work

    document = work.read(path)
    deployment = work.missing(app.home, path, document)
    if deployment is None:
        raise JarvisError(f"no model was deployed to {path} from here", "Do it with `jarvisctl deploy model`.")
    model, is_gone = deployment
    if is_gone:
        raise JarvisError(
            f"{path} no longer names {model} but {work.model_of(document)}", "Quit JARVIS, deploy again, then start it."
        )
    auto = "; auto_select is true, so JARVIS may choose another one" if work.selects_itself(document) else ""
    click.echo(f"{path} names {plain(model)}{auto}.")
    return 0
