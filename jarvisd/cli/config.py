"""`jarvisctl config`: the settings in force, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from jarvisd.cli.common import App
from jarvisd.paths import SHIPPED
from jarvisd.plan import schemas, settings, yamlfile


@click.command()
@click.option("--schema", metavar="NAME", help=f"Print a JSON schema instead: {', '.join(schemas.NAMES)}.")
@click.pass_obj
def config(app: App, schema: str | None) -> None:
    """Show where things are, which files are in force, and every setting with its source.

    \b
    Example:
      jarvisctl config
      jarvisctl config --schema plan
    """
    if schema is not None:
        click.echo(schemas.text(schema), nl=False)
        return
    home = app.home
    click.echo(f"home      {home.root}  ({home.source})")
    click.echo(f"database  {home.database}")
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
