"""`jarvisctl match` and `jarvisctl deploy templates`."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jarvisd.cli.common import App, plain
from jarvisd.errors import JarvisError, UsageError
from jobs.deploying import print_diff

if TYPE_CHECKING:
    from jobs.jarvis import Applied
    from jobs.mine.index import Index, Match

_MOST_BYTES = 1 << 20  # of a text on standard input


@click.command("match")
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def match(app: App, text: str, as_json: bool) -> int:
    """Show which template would answer TEXT, a message that comes in; exit code 1 where none would.

    TEXT is read from standard input where it is `-`. The templates are those of the newest run that has some.

    \b
    Example:
      jarvisctl match "are you free tomorrow?"
      pbpaste | jarvisctl match - --json
    """
    began = time.perf_counter()
    asked = _asked(text)
    app.need_ledger()
    app.open_ledger()
    from jobs.mine.index import Index

    index = Index.of_newest(app.home)
    ready = time.perf_counter()
    found = index.match(asked)
    took = time.perf_counter() - ready - index.loading_s
    answer = _answer(asked, found, took, ready - began + index.loading_s)
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else _words(index, found, answer))
    return 0 if found.fires else 1


def _asked(text: str) -> str:
    if text == "-":
        text = sys.stdin.buffer.read(_MOST_BYTES).decode("utf-8", "replace")
    valid = text.encode("utf-8", "replace").decode("utf-8")  # a shell may pass bytes that are no text
    if not valid.strip():
        raise UsageError("there is no text to match", 'Give it in quotes: jarvisctl match "see you soon".')
    return valid


def _answer(text: str, found: Match, took_s: float, cold_s: float) -> dict[str, Any]:
    """The document of --json: of the template only where it fires, of the nearest trigger always."""
    nearest = found.trigger
    return {
        "text": text,
        "fires": found.fires,
        "reply": nearest.reply if found.fires else None,
        "template": nearest.template if found.fires else None,
        "tier": nearest.tier if found.fires else None,
        "similarity": round(found.similarity, 4),
        "how": found.how,
        "ms": round(took_s * 1000, 3),
        "cold_ms": round(cold_s * 1000, 1),
        "nearest": nearest.shown,
        "threshold": nearest.threshold,
        "about": found.about,
    }


def _words(index: Index, found: Match, answer: dict[str, Any]) -> str:
    nearest = found.trigger
    if found.about is not None:
        return f"No template answers a text like this one: {found.about}."
    if not found.fires:
        return (
            f'No template of {index.mining.run_id} fires: the nearest trigger is "{plain(nearest.shown)}" with a '
            f"similarity of {found.similarity:.2f}, and {nearest.threshold:.2f} is needed."
        )
    how = {
        "exact": "the same words as",
        "fast": f"similarity {found.similarity:.2f} in spelling to",
        "encoder": f"similarity {found.similarity:.2f} to",
    }[found.how]
    return (
        f"{plain(nearest.reply)}\n"
        f'  {nearest.tier}, {how} "{plain(nearest.shown)}", {answer["ms"]:.1f} ms after a start of '
        f"{answer['cold_ms']:.0f} ms, template {nearest.template}"
    )


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
    from jobs import jarvis
    from jobs.mine.jarvis import NAME

    return jarvis.folder(folder) / NAME


def _deploy(app: App, path: Path, tier: str, dry_run: bool) -> int:
    from jobs.mine import deploy as work
    from jobs.mine import jarvis

    fresh = work.wanted(("automatic",) if tier == "automatic" else ("automatic", "suggest"))
    done = jarvis.apply(path, lambda found: work.merge(found, fresh, _now()), dry_run=dry_run)
    _show(path, done, dry_run)
    if not dry_run:
        there = {found.get("id") for found in done.after["templates"] if work.is_ours(found)}
        work.remember(app.home, path, [found["id"] for found in fresh if found["id"] in there])
    return 0


def _disable(path: Path, dry_run: bool) -> int:
    from jobs.mine import deploy as work
    from jobs.mine import jarvis

    if not path.exists():
        raise JarvisError(f"there is no {path}", "--to DIR names the folder in which JARVIS keeps it.")
    done = jarvis.apply(path, lambda found: work.without_unused(found, _now()), dry_run=dry_run)
    _show(path, done, dry_run)
    return 0


def _check(app: App, path: Path) -> int:
    from jobs.mine import deploy as work
    from jobs.mine import jarvis

    found = work.missing(app.home, path, jarvis.read(path).document)
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
    from jobs.mine import deploy as work

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
