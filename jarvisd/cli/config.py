"""`jarvisctl config`: the settings in force, and where each value comes from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from jarvisd.cli.common import App, note
from jarvisd.operations import edit
from jarvisd.paths import SHIPPED
from jarvisd.plan import schemas, settings, yamlfile
from jarvisd.store import location
from jarvisd.words import plain


@click.group(invoke_without_command=True)
@click.option("--schema", metavar="NAME", help=f"Print a JSON schema instead: {', '.join(schemas.NAMES)}.")
@click.pass_context
def config(ctx: click.Context, schema: str | None) -> None:
    """Show where things are, which files are in force, and every setting with its source.

    \b
    Example:
      jarvisctl config
      jarvisctl config --schema plan
      jarvisctl config edit
    """
    if ctx.invoked_subcommand is None:
        _show(ctx.obj, schema)


@config.command("edit")
@click.argument("name", default="settings")
@click.pass_obj
def edit_file(app: App, name: str) -> int:
    """Open a file of the configuration in your editor ($VISUAL, $EDITOR): settings, or a plan, models, scenarios.

    The editor works on a copy. It takes the place of the file in HOME/config only where it is valid.

    \b
    Example:
      jarvisctl config edit
      jarvisctl config edit overnight
    """
    edited = edit.begin(app.home, name)
    while True:
        edit.open_editor(edited)
        error = edit.check(edited)
        if error is None:
            break
        note(f"jarvisctl: {plain(str(error))}")
        if not (sys.stdin.isatty() and click.confirm("Edit it again?", default=True)):
            note(f"Nothing was changed. Your draft is {edited.draft}; `jarvisctl config edit {name}` opens it again.")
            return 1
    if edited.is_changed:
        edit.accept(edited)
        click.echo(f"{edited.path}: written. `jarvisctl restart` has a running daemon read its settings.")
    else:
        edit.drop(edited)
        click.echo(f"{edited.path}: nothing was changed.")
    return 0


def _show(app: App, schema: str | None) -> None:
    if schema is not None:
        click.echo(schemas.text(schema), nl=False)
        return
    home = app.home
    click.echo(f"home      {home.root}  ({home.source})")
    click.echo(f"database  {location.server(home) or home.database}")
    click.echo(f"results   {home.results}")
    for path in (*home.config_files("*.yaml"), *home.config_files("plans/*.yaml")):
        click.echo(f"file      {path}  ({'shipped' if path.is_relative_to(SHIPPED / 'config') else 'yours'})")
    path = home.config_file("settings.yaml")
    written = yamlfile.read(path).lines if path.is_file() else {}
    for key, value in _flat(settings.read(home).model_dump()):
        line = written.get(key)
        click.echo(f"setting   {'.'.join(key)} = {value}  ({f'{path}:{line}' if line else 'default'})")


def _flat(values: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting under the whole of its name."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, (*above, name))
        else:
            yield (*above, name), value
