"""`jarvisctl init`: a commented configuration to edit."""

from __future__ import annotations

from pathlib import Path

import click

from jarvisd.cli.common import App
from jarvisd.host import files
from jarvisd.paths import SHIPPED
from jarvisd.plan import schemas

#: What is copied, and the schema that an editor checks it with.
COPIED = {"settings.yaml": "schemas/settings.json", "plans/overnight.yaml": "../schemas/plan.json"}


@click.command()
@click.pass_obj
def init(app: App) -> None:
    """Write commented copies of settings.yaml and plans/overnight.yaml into HOME/config. Nothing is ever overwritten.

    An editor with a YAML language server then completes their keys, and marks what is wrong, from config/schemas.
    The same holds for models.yaml, scenarios.yaml and manual_templates.yaml where you copy them there; `jarvisctl
    config` says where the shipped ones are.

    \b
    Example:
      jarvisctl init
    """
    folder = app.home.root / "config"
    for name, schema in COPIED.items():
        _copy(SHIPPED / "config" / name, folder / name, schema)
    for name in schemas.NAMES:
        files.replace(folder / "schemas" / f"{name}.json", schemas.text(name))
    click.echo(f"{folder / 'schemas'}: for your editor")
    click.echo("Next: name your models and messages in plans/overnight.yaml, then `jarvisctl doctor`.")


def _copy(shipped: Path, own: Path, schema: str) -> None:
    if own.exists():
        click.echo(f"{own}: kept as it is")
        return
    files.replace(own, f"# yaml-language-server: $schema={schema}\n{shipped.read_text()}")
    click.echo(f"{own}: written")
