"""`jarvisctl export`: the group. What it exports is loaded when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App
from jarvisd.plugin import JarvisError
from jarvisd.words import counted, plain

if TYPE_CHECKING:
    from jobs.verbs.export.shortcuts import Snippet

FORMATS = ("json", "csv", "macos", "espanso", "raycast")


@click.group("export")
def export() -> None:
    """Write what was mined for other programs.

    \b
    Example:
      jarvisctl export templates --format macos -o "Text Replacements.plist"
      jarvisctl export templates --format espanso -o ~/.config/espanso/match/mine.yml
      jarvisctl export templates
    """


@export.command("templates")
@click.option("--format", "form", type=click.Choice(FORMATS), default="json", show_default=True, help="For whom.")
@click.option("-o", "--output", "file", metavar="FILE", help="Where to write it.  [default: standard output]")
@click.option("--prefix", default=";", show_default=True, metavar="TEXT", help="What every shortcut begins with.")
@click.option("--shortcuts", metavar="FILE", help="Your own shortcuts: a CSV file with the columns id and shortcut.")
@click.pass_obj
def templates(app: App, form: str, file: str | None, prefix: str, shortcuts: str | None) -> int:
    """Write the templates that you kept: for macOS, espanso or Raycast, as CSV or as JSON.

    Each gets a shortcut, such as ;omw for "On my way". To choose your own, export as CSV, change the column, and name
    the file with --shortcuts. A shortcut that two templates have, or that is an ordinary word, is refused.

    \b
    Example:
      jarvisctl export templates --format csv -o templates.csv
      jarvisctl export templates --format macos --shortcuts templates.csv -o "Text Replacements.plist"
    """
    from jobs.verbs.export import formats, writing

    snippets = _snippets(app, prefix, shortcuts)
    taken = [snippet for snippet in snippets if formats.problem(form, snippet) is None]
    text = formats.render(form, taken)
    for snippet in snippets:
        if (reason := formats.problem(form, snippet)) is not None:
            click.echo(f"Left out: “{plain(snippet.reply)}” ({reason}).", err=True)
    if file is None:
        click.echo(text, nl=False)
        return 0
    path = writing.write(app.home, Path(file).expanduser(), text)
    click.echo(f"{counted(len(taken), 'template')} written to {path}.{formats.NEXT[form]}", err=True)
    return 0


def _snippets(app: App, prefix: str, own: str | None) -> list[Snippet]:
    """The kept templates with their shortcuts. Raises JarvisError where none was kept, or a shortcut is refused."""
    from jobs.lib.reviews import verdicts
    from jobs.verbs.export import shortcuts

    app.need_ledger()
    app.open_ledger()
    kept = verdicts.kept()
    if not kept:
        raise JarvisError(
            "no template was reviewed and kept yet, so none is exported",
            "`jarvisctl review --templates` shows them one by one.",
        )
    chosen = shortcuts.read(Path(own).expanduser()) if own is not None else {}
    return shortcuts.assign(kept, prefix, chosen, shortcuts.ordinary_words())
