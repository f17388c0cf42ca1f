"""`jarvisctl deploy model`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App
from jarvisd.operations import lookup
from jarvisd.plugin import JarvisError
from jarvisd.words import plain
from jobs.verbs.deploy.commands import only_alone, print_backup, print_diff, write_if_wanted

if TYPE_CHECKING:
    from jarvisd.plugin import Run
    from jobs.verbs.deploy.files import Applied, Document
    from jobs.verbs.deploy.model import Choice


@click.command("model")
@click.argument("name", required=False)
@click.option("--to", "folder", metavar="DIR", help="Where JARVIS keeps its files.  [default: ~/.jarvis]")
@click.option("--run", "run", metavar="RUN", help="The run that compared it.  [default: the newest report]")
@click.option("--source", metavar="DIR", help="JARVIS's checkout, to read from it which models it knows by an id.")
@click.option("--force", is_flag=True, help="Write it even where JARVIS of that version does not read it.")
@click.option("--check", is_flag=True, help="Only check that what was deployed is still there; exit code 1 if not.")
@click.option("--undo", is_flag=True, help="Put back what the last deploy changed, and nothing else.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option("--expect", metavar="SHA256", help="Write only where the file has this digest, as when it was previewed.")
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.pass_obj
def deploy_model(
    app: App,
    /,
    name: str | None,
    folder: str | None,
    expect: str | None,
    dry_run: bool,
    yes: bool,
    **words: str | bool | None,
) -> int:
    """Write the model that the newest report says to switch to, or NAME, into JARVIS's config.json.

    NAME is a key or name of a model of the run, or a key of models.yaml. Everything else in the file stays as it is.
    JARVIS reads the model from config_version 13 on (2026-02-15); it must be restarted afterwards.

    \b
    Example:
      jarvisctl deploy model --dry-run
      jarvisctl deploy model qwen3-4b --to ~/.jarvis
      jarvisctl deploy model --check
      jarvisctl deploy model --undo --dry-run
    """
    from jobs.verbs.deploy import config_file, files

    given = {"NAME": name, **{f"--{option}": value for option, value in words.items()}}
    only_alone("--check", {**given, "--dry-run": dry_run})
    only_alone("--undo", given)
    path = files.folder(folder) / config_file.NAME
    if folder and not path.exists():
        raise files.missing(path)
    if words["check"]:
        return _check(app, path)
    write = partial(_undo, app, path, expect) if words["undo"] else partial(_deploy, app, path, name, words, expect)
    return write_if_wanted(write, dry_run=dry_run, yes=yes)


def _deploy(
    app: App, path: Path, name: str | None, words: dict[str, str | bool | None], expect: str | None, dry_run: bool
) -> Applied:
    from jobs.verbs.deploy import config_file, source
    from jobs.verbs.deploy import model as work

    document = config_file.read(path)
    if not words["force"]:
        config_file.require_effect(path, document)
    run, checkout = words["run"], words["source"]
    choice = work.choose(app.home, _run_to_deploy(app, str(run) if run else None), name)
    known = source.model_ids(Path(str(checkout)).expanduser()) if checkout else config_file.IDS
    model_id = choice.model_id(known)
    done = config_file.apply(path, model_id, dry_run=dry_run, expected=expect)
    _show(path, choice, done, dry_run)
    if not dry_run:
        config_file.remember(app.home, path, model_id, done)
    return done


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
    from jobs.verbs.deploy import config_file

    if dry_run:
        print_diff(done)
    model = plain(f"{choice.name} ({config_file.model_of(done.after)})")
    if not done.changed:
        click.echo(f"{path} names {model} already: nothing to change.")
    else:
        before = plain(config_file.model_of(done.before))
        click.echo(f"{path}: {model} {'would replace' if dry_run else 'replaces'} {before}.")
    print_backup(done)
    if sentences := _compared(choice):
        click.echo(sentences)
    for remark in (*choice.remarks, *_effects(choice, done.after)):
        click.echo(f"Warning: {plain(remark)}")
    if done.changed and not dry_run:
        click.echo("JARVIS reads the file when it starts: restart JARVIS now.")


def _effects(choice: Choice, document: Document) -> list[str]:
    """What in JARVIS's own settings meets this model, a sentence each."""
    from jobs.verbs.deploy import config_file

    limit = config_file.memory_limit_mb(document)
    number = config_file.version(document)
    lines = [] if number >= config_file.FIRST_READ else [f"JARVIS of config_version {number} does not read it."]
    if not choice.needs_mb or choice.needs_mb > limit:
        needs = f"needs about {choice.needs_mb} MB" if choice.needs_mb else "may need more"
        lines.append(
            f"JARVIS limits MLX to {limit} MB (model.llm_memory_limit_mb) and takes a model that it does not know for "
            f"{config_file.ASSUMED_MB} MB; {choice.name} {needs}."
        )
    lines.append("JARVIS's sampling (temperature 0.1, top_p 0.1) is tuned for its own model; this run used the plan's.")
    return lines


def _compared(choice: Choice) -> str:
    """Which revision was compared, or that none was; "" where there is nothing to say."""
    where = "Pinned here is" if choice.not_compared else "Compared was"
    revision = f"{where} its revision {plain(choice.revision)}."
    parts = [f"{choice.not_compared}."] * bool(choice.not_compared) + [revision] * bool(choice.revision)
    return " ".join(parts)


def _undo(app: App, path: Path, expect: str | None, dry_run: bool) -> Applied:
    from jobs.verbs.deploy import config_file

    done = config_file.take_back(app.home, path, dry_run=dry_run, expected=expect)
    if dry_run:
        print_diff(done)
    if not done.changed:
        click.echo(f"{path} no longer holds what the last deploy wrote: nothing to undo.")
        return done
    verb = "would name" if dry_run else "names"
    click.echo(f"{path} {verb} {plain(config_file.model_of(done.after))} again.")
    print_backup(done)
    return done


def _check(app: App, path: Path) -> int:
    from jobs.verbs.deploy import config_file

    document = config_file.read(path)
    deployment = config_file.missing(app.home, path, document)
    if deployment is None:
        raise JarvisError(f"no model was deployed to {path} from here", "Do it with `jarvisctl deploy model`.")
    model, is_gone = deployment
    if is_gone:
        raise JarvisError(
            f"{path} no longer names {model} but {config_file.model_of(document)}",
            "Quit JARVIS, deploy again, then start it.",
        )
    read = config_file.version(document) >= config_file.FIRST_READ
    click.echo(f"{path} names {plain(model)}{'' if read else '; JARVIS of this version does not read it'}.")
    return 0
