"""`jarvisctl models`: which models the plans name, fetch them, and look whether they are whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from jarvisd import plans
from jarvisd.cli.common import App, on_terminal, plain
from jarvisd.errors import JarvisError, UsageError
from jarvisd.home import Home
from jarvisd.kinds import Setting
from jobs import fetching, models, wholeness
from jobs.fetching import Order
from jobs.models import ModelEntry


@dataclass(frozen=True, kw_only=True)
class Named:
    """A model, and the plans that name it."""

    entry: ModelEntry
    plans: tuple[str, ...]


@click.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def group(context: click.Context, as_json: bool) -> None:
    """Which models your plans name, whether they are on this disk, and their licences.

    \b
    Example:
      jarvisctl models
      jarvisctl models fetch               whatever the plans name and this disk lacks
      jarvisctl models fetch qwen3-4b
      jarvisctl models check
    """
    if context.invoked_subcommand is None:
        _list(context.obj.home, as_json)


@group.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--only", multiple=True, metavar="PLAN", help="Only what this plan names. Can be repeated.")
@click.pass_obj
def fetch(app: App, names: tuple[str, ...], only: tuple[str, ...]) -> int:
    """Fetch models from the hub: NAMEs, else what the plans name and this disk lacks.

    A NAME is a key of models.yaml or a repository. Only safetensors, configuration and tokenizer are fetched, at the
    pinned revision, and each file is compared with the hub's hash. What is whole is not fetched again.

    \b
    Example:
      jarvisctl models fetch
      jarvisctl models fetch --only overnight
      jarvisctl models fetch qwen3-4b org/name@revision
    """
    if names and only:
        raise UsageError("--only goes without names", "Name models, or plans.")
    app.home.make()
    entries = _entries(app.home, names) if names else _missing(app.home, only)
    return int(bool(_fetch(entries, app.home)))


@group.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def check(app: App, names: tuple[str, ...]) -> int:
    """Look at every byte of models: NAMEs, else those of the plans that are on this disk. Exit code 1 on a problem.

    \b
    Example:
      jarvisctl models check
      jarvisctl models check qwen3-4b
    """
    here = [one.entry for one in named(app.home) if models.locate(one.entry, app.home)]
    entries = _entries(app.home, names) if names else here
    if not entries:
        click.echo("No model of your plans is on this disk. `jarvisctl models fetch` gets them.")
    wrong = sum(not _checked(entry, app.home) for entry in entries)
    return int(bool(wrong))


# ------------------------------------------------------------------------------------------------ what the plans name


def named(home: Home, only: tuple[str, ...] = ()) -> list[Named]:
    """The models of all plans, or of these alone, each once, in the order in which the plans name them."""
    found: dict[tuple[str | None, ...], Named] = {}
    for plan in only or [file.stem for file in home.config_files("plans/*.yaml")]:
        try:
            resolved = plans.read(home, plan).resolved()
        except JarvisError as error:
            if only:
                raise
            if plans.find(home, plan).is_relative_to(home.root):  # a shipped plan need not fit the owner's models
                click.echo(f"jarvisctl: {plain(str(error))}", err=True)
            continue
        for entry in _within(resolved):
            source = (entry.repo, entry.revision, entry.path)
            before = found.get(source, Named(entry=entry, plans=()))
            found[source] = Named(entry=before.entry, plans=tuple(dict.fromkeys((*before.plans, plan))))
    return list(found.values())


def _within(data: Any) -> Iterator[ModelEntry]:
    """Every model in what a run would keep of a plan, whatever kind of job it belongs to."""
    if isinstance(data, dict):
        if {"key", "name", "repo", "path", "memory_mb"} <= data.keys():
            yield ModelEntry.model_validate(data)
        else:
            for value in data.values():
                yield from _within(value)
    elif isinstance(data, list):
        for value in data:
            yield from _within(value)


def _entries(home: Home, names: tuple[str, ...]) -> list[ModelEntry]:
    """What names mean: a key or repository of models.yaml, a model of a plan, any repository. Raises UsageError."""
    listed = {name: entry for entry in models.catalogue(home) for name in (entry.key, entry.repo) if name}
    rest = [name for name in names if name not in listed]
    planned = {one.entry.key: one.entry for one in named(home)} if rest else {}
    setting = Setting(home=home, folder=Path.cwd(), messages=Path())
    found = [listed.get(name) or planned.get(name) or models.resolve(name, setting) for name in names]
    return list({(entry.repo, entry.revision, entry.path): entry for entry in found}.values())


def _missing(home: Home, only: tuple[str, ...]) -> list[ModelEntry]:
    """What the plans name, this disk lacks and the hub has; how to get the others is said."""
    lacking = [one.entry for one in named(home, only) if models.problem(one.entry, home)]
    if not lacking:
        click.echo("Nothing is missing.")
    for entry in lacking:
        if not models.is_fetched(entry):
            click.echo(plain(f"{entry.key}: not from the hub. {models.remedy(entry)}"))
    return [entry for entry in lacking if models.is_fetched(entry)]


# ------------------------------------------------------------------------------------------------------------- listing


def _list(home: Home, as_json: bool) -> None:
    rows = [_row(one, home) for one in named(home)]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        size = f"{row['bytes'] / 1e9:.1f} GB" if row["bytes"] else "?"
        line = f"{row['key']:<20} {row['state']:<8} {size:>7}  {row['licence']:<20} {', '.join(row['plans'])}"
        click.echo(plain(line))
        if row["state"] == "damaged":
            click.echo(f"  {plain(row['problem'])}. {plain(row['remedy'])}")
    if any(row["state"] == "missing" for row in rows):
        click.echo("`jarvisctl models fetch` gets what is missing, or says how to.")


def _row(one: Named, home: Home) -> dict[str, Any]:
    entry = one.entry
    folder, problem = models.locate(entry, home), models.problem(entry, home)
    return {
        "key": entry.key,
        "name": entry.name,
        "kind": entry.kind,
        "state": "missing" if folder is None else "damaged" if problem else "here",
        "problem": problem,
        "remedy": models.remedy(entry) if problem else None,
        "bytes": wholeness.size_of(folder) if folder and not problem else entry.download_bytes,
        "licence": entry.licence,
        "source": f"{entry.repo}@{entry.revision or 'main'}" if entry.repo else entry.path,
        "plans": list(one.plans),
    }


# ------------------------------------------------------------------------------------------------- fetching, checking


def _fetch(entries: list[ModelEntry], home: Home) -> list[JarvisError]:
    """Fetch models, one after another; the failure of one does not keep the next from coming."""
    failures: list[JarvisError] = []
    orders = _orders(entries, failures)
    fetching.make_room(orders, home)
    for order in orders:
        licence = f"licence: {order.licence}"
        amount = f"{len(order.missing)} files, {order.bytes:,} bytes" if order.missing else "all there, and whole"
        click.echo(plain(f"{order.entry.key}: {amount} ({order.repo} at {order.commit[:12]}; {licence})"))
    _quiet_unless_watched()
    for order in orders:
        try:
            fetching.fetch(order, home, _say)
        except fetching.Unreachable:
            raise
        except JarvisError as error:
            _failed(failures, error)
    return failures


def _orders(entries: list[ModelEntry], failures: list[JarvisError]) -> list[Order]:
    orders = []
    for entry in entries:
        try:
            orders.append(fetching.look(entry, _say))
        except fetching.Unreachable:
            raise
        except JarvisError as error:
            _failed(failures, error)
    return orders


def _failed(failures: list[JarvisError], error: JarvisError) -> None:
    failures.append(error)
    click.echo(f"jarvisctl: {plain(str(error))}", err=True)


def _say(line: str) -> None:
    click.echo("  " * line.startswith("  ") + plain(line.strip()))


def _quiet_unless_watched() -> None:
    """The library's bars are for a terminal; elsewhere the line of each finished file must do."""
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    (enable_progress_bars if on_terminal() else disable_progress_bars)()


def _checked(entry: ModelEntry, home: Home) -> bool:
    verdict = wholeness.examine(entry, home)
    for problem in verdict.problems:
        click.echo(plain(f"problem  {entry.key}: {problem}"))
    if verdict.problems:
        click.echo(plain(f"         {models.remedy(entry)}"))
    else:
        how = f"{verdict.compared} files as the hub has them" if verdict.compared else "sizes only: nobody knows hashes"
        click.echo(plain(f"ok       {entry.key}: {verdict.bytes:,} bytes, {how}"))
    return not verdict.problems
