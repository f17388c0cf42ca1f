"""`jarvisctl config`: the settings in force, and where each value comes from."""

from __future__ import annotations

import click

from jarvisd import settings, yamlfile
from jarvisd.cli.common import App
from jarvisd.home import SHIPPED


@click.command()
@click.pass_obj
def config(app: App) -> None:
    """Show where things are, which files are in force, and every setting with its source.

    \b
    Example:
      jarvisctl config
    """
    home = app.home
    click.echo(f"home      {home.root}  ({home.source})")
    click.echo(f"database  {home.database}")
    click.echo(f"results   {home.results}")
    for path in (*home.config_files("*.yaml"), *home.config_files("plans/*.yaml")):
        click.echo(f"file      {path}  ({'shipped' if path.is_relative_to(SHIPPED / 'config') else 'yours'})")
    path = home.config_file("settings.yaml")
    written = yamlfile.read(path).lines if path.is_file() else {}
    for group, values in settings.read(home).model_dump().items():
        for name, value in values.items():
            line = written.get((group, name))
            click.echo(f"setting   {group}.{name} = {value}  ({f'{path}:{line}' if line else 'default'})")
