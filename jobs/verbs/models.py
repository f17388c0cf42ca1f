"""`jarvisctl models`: list the models that the plans name, fetch them, check them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from jarvisd.cli.common import App, on_terminal
from jarvisd.operations.doctor.check import Check
from jarvisd.plan import plans
from jarvisd.plan.plans import Plan
from jarvisd.plugin import Home, JarvisError, MissingDownload, PlanContext, UsageError
from jarvisd.words import amount, nearest, plain, took
from jobs.lib.models import catalogue, download, integrity, loading
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.models.download import DownloadPlan
from jobs.lib.models.transfer import DownloadEstimate, TransferStats, download_estimate


@dataclass(frozen=True, kw_only=True)
class Named:
    """A model, and the plans that name it."""

    entry: ModelEntry
    plans: tuple[str, ...]


@click.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def group(context: click.Context, as_json: bool) -> int:
    """Which models your plans name, whether they are on this disk, and their licences.

    \b
    Example:
      jarvisctl models
      jarvisctl models fetch               all that the plans name and this disk does not have
      jarvisctl models fetch qwen3-4b
      jarvisctl models check
    """
    return _list(context.obj.home, as_json) if context.invoked_subcommand is None else 0


@group.command(short_help="Fetch models from the hub.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--only", multiple=True, metavar="PLAN", help="Only what this plan names. Can be repeated.")
@click.pass_obj
def fetch(app: App, names: tuple[str, ...], only: tuple[str, ...]) -> int:
    """Fetch models from the hub: NAMEs, else the missing models of your plans.

    A NAME is a key of models.yaml or a repository. Only safetensors, configuration and tokenizer are fetched, at the
    pinned revision, and each file is compared with the hub's hash. A complete model is not fetched again.

    \b
    Example:
      jarvisctl models fetch
      jarvisctl models fetch --only overnight
      jarvisctl models fetch qwen3-4b org/name@revision
    """
    if names and only:
        raise UsageError("--only cannot be combined with names", "Name models, or plans.")
    app.home.make()
    failures: list[JarvisError] = []
    entries = _entries(app.home, names, folders=False) if names else _missing(app.home, only, failures)
    failures += _fetch(entries, app.home)
    return int(bool(failures))


@group.command(short_help="Look at every byte of models, and load them.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def check(app: App, names: tuple[str, ...]) -> int:
    """Check every byte of models and whether mlx-lm can load them: NAMEs, else what the plans name and this disk has.

    Exit code 1 on a problem.

    \b
    Example:
      jarvisctl models check
      jarvisctl models check qwen3-4b
    """
    failures: list[JarvisError] = []
    if names:
        entries = _entries(app.home, names, folders=True)
    else:
        entries = [model.entry for model in named(app.home, (), failures) if catalogue.locate(model.entry, app.home)]
    if not entries:
        click.echo("No model of your plans is on this disk. `jarvisctl models fetch` gets them.")
    wrong = sum(not _checked(entry, app.home) for entry in entries)
    return int(bool(wrong or failures))


# ------------------------------------------------------------------------------------------------ what the plans name


def named(home: Home, only: tuple[str, ...] = (), failures: list[JarvisError] | None = None) -> list[Named]:
    """The models of all plans, or of these alone, each once, in the order in which the plans name them.

    One of the owner's plans that cannot be read is reported and added to `failures`. Raises PlanError for a broken
    models.yaml, without which no plan can be read.
    """
    catalogue.catalogue(home)
    models: dict[str, Named] = {}
    for plan in only or [file.stem for file in home.config_files("plans/*.yaml")]:
        try:
            resolved = plans.read_plan(home, plan).resolved()
        except JarvisError as error:
            if only:
                raise
            if plans.find_plan(home, plan).is_relative_to(home.root):  # a shipped plan need not fit the owner's models
                _failed(failures if failures is not None else [], error)
            continue
        for entry in _within(resolved):
            source = catalogue.source(entry)
            before = models.get(source, Named(entry=entry, plans=()))
            models[source] = Named(entry=before.entry, plans=tuple(dict.fromkeys((*before.plans, plan))))
    return list(models.values())


def _within(data: Any) -> Iterator[ModelEntry]:
    """Every model in the resolved sections of a plan, for any kind of job."""
    if isinstance(data, dict):
        if {"key", "name", "repo", "path", "memory_mb"} <= data.keys():
            yield ModelEntry.model_validate(data)
        else:
            for value in data.values():
                yield from _within(value)
    elif isinstance(data, list):
        for value in data:
            yield from _within(value)


def _entries(home: Home, names: tuple[str, ...], *, folders: bool) -> list[ModelEntry]:
    """What names mean: a key or repository of models.yaml, a model of a plan, any repository; a folder if it may be.

    Raises UsageError for anything else.
    """
    if not all(name.strip() for name in names):
        raise UsageError("a name is empty", "Give a key or a repository, or no name at all for what the plans name.")
    listed = {name: entry for entry in catalogue.catalogue(home) for name in (entry.key, entry.repo) if name}
    rest = [name for name in names if name not in listed]
    planned = {model.entry.key: model.entry for model in named(home)} if rest else {}
    setting = PlanContext(home=home, folder=Path.cwd(), messages=Path())
    try:
        entries = [listed.get(name) or planned.get(name) or catalogue.resolve(name, setting) for name in names]
    except UsageError as error:
        wrong = [name for name in rest if repr(name) in error.what]
        raise error if folders else UsageError(error.what, _instead(wrong, [*listed, *planned])) from error
    return list({catalogue.source(entry): entry for entry in entries}.values())


def _instead(names: list[str], known: list[str]) -> str:
    """What may be fetched instead of the first of `names` that resembles a known one: never a folder."""
    remedy = next((hint for name in names if (hint := nearest(name, known, otherwise=""))), "")
    return f"{remedy} What can be fetched is a key of models.yaml or a repository (org/name).".lstrip()


def _missing(home: Home, only: tuple[str, ...], failures: list[JarvisError]) -> list[ModelEntry]:
    """Missing models of the plans that the hub has; for the other missing ones the remedy is printed."""
    lacking = [model.entry for model in named(home, only, failures) if catalogue.problem(model.entry, home)]
    if not lacking and not failures:
        click.echo("Nothing is missing.")
    for entry in lacking:
        if not catalogue.is_fetched(entry):
            click.echo(plain(f"{entry.key}: not from the hub. {catalogue.remedy(entry)}"))
    return [entry for entry in lacking if catalogue.is_fetched(entry)]


# ---------------------------------------------------------------------------------------------------------- for doctor


def models_check(plan: Plan, missing: list[MissingDownload]) -> Check:
    """How many of a plan's models are here, and what it takes to fetch those that its jobs miss."""
    lacking = _each_once(missing)
    others = _not_missing(plan, {model.source for model in lacking})
    here = sum(catalogue.problem(entry, plan.setting.home) is None for entry in others)
    total = len(others) + len(lacking)
    needed = download_estimate(sum(model.bytes for model in lacking), catalogue.hub_cache(), plan.setting.home)
    figures = {"plan": plan.name, "models": total, "here": here, **_figures(lacking, needed)}
    state_text = f"{here} of {total} on this disk" if total else f"{plan.name} names none"
    if here < len(others):
        state_text += f"; {len(others) - here} with another problem, below"
    if not lacking:
        return Check(name="models", state="ok", what=state_text, figures=figures)
    message = f"{state_text}; missing: {', '.join(model.name for model in lacking)}; {_to_fetch(lacking, needed)}"
    return Check(name="models", state="problem", what=message, remedy=_remedy(plan, needed), figures=figures)


def _each_once(missing: list[MissingDownload]) -> list[MissingDownload]:
    downloads: dict[str, MissingDownload] = {}
    for download_ in missing:
        downloads.setdefault(download_.source, download_)
    return list(downloads.values())


def _remedy(plan: Plan, needed: DownloadEstimate) -> str:
    fetch = f"`jarvisctl models fetch --only {plan.name}` fetches them, by day."
    return f"Free {amount(needed.lacking)}, or name fewer models in the plan; then {fetch}" if needed.lacking else fetch


def _not_missing(plan: Plan, missing: set[str]) -> list[ModelEntry]:
    """The other models of a plan, each once.

    What the hub has, this disk has not and no job misses does not count: of a plan with one round, the embedder that
    would compare meanings in the second.
    """
    entries = {catalogue.source(entry): entry for entry in _within(plan.resolved())}
    home = plan.setting.home
    return [
        entry
        for source, entry in entries.items()
        if source not in missing and not (catalogue.is_fetched(entry) and catalogue.locate(entry, home) is None)
    ]


def _to_fetch(lacking: list[MissingDownload], needed: DownloadEstimate) -> str:
    unsaid = ", ".join(model.name for model in lacking if not model.bytes)
    if not needed.bytes:
        return "only the hub knows how much there is to fetch"
    at_least, but = ("at least ", f" (only the hub knows the size of {unsaid})") if unsaid else ("", "")
    return f"{at_least}{amount(needed.bytes)} to fetch{but}, {needed.disk()}; {needed.time()}"


def _figures(lacking: list[MissingDownload], needed: DownloadEstimate) -> dict[str, Any]:
    return {
        "missing": [model.name for model in lacking],
        "of_unknown_size": [model.name for model in lacking if not model.bytes],
        "bytes": needed.bytes,
        "disk_left_bytes": needed.left,
        "disk_lacking_bytes": needed.lacking,
        "bytes_per_second": needed.speed,
        "seconds": needed.seconds,
    }


# ------------------------------------------------------------------------------------------------------------- listing


def _list(home: Home, as_json: bool) -> int:
    failures: list[JarvisError] = []
    rows = [_row(model, home) for model in named(home, (), failures)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return int(bool(failures))
    for row in rows:
        size = amount(row["bytes"]) if row["bytes"] else "?"
        line = f"{row['key']:<20} {row['state']:<8} {size:>7}  {row['licence']:<20} {', '.join(row['plans'])}"
        click.echo(plain(line))
        if row["state"] == "damaged":
            click.echo(f"  {plain(row['problem'])}. {plain(row['remedy'])}")
    if any(row["state"] == "missing" for row in rows):
        click.echo("`jarvisctl models fetch` gets what is missing, or says how to.")
    return int(bool(failures))


def _row(model: Named, home: Home) -> dict[str, Any]:
    entry = model.entry
    folder, problem = catalogue.locate(entry, home), catalogue.problem(entry, home)
    return {
        "key": entry.key,
        "name": entry.name,
        "kind": entry.kind,
        "state": "missing" if folder is None else "damaged" if problem else "here",
        "problem": problem,
        "remedy": catalogue.remedy(entry) if problem else None,
        "bytes": integrity.size_of(folder) if folder and not problem else entry.download_bytes,
        "licence": entry.licence,
        "source": catalogue.source(entry),
        "plans": list(model.plans),
    }


# ------------------------------------------------------------------------------------------------- fetching, checking


def _fetch(entries: list[ModelEntry], home: Home) -> list[JarvisError]:
    """Fetch models, one after another; if one fails, the next is fetched all the same."""
    failures: list[JarvisError] = []
    orders = _orders(entries, failures)
    for order in orders:
        licence = f"licence: {order.licence}"
        lacking = f"{len(order.missing)} files, {amount(order.bytes)}" if order.missing else "all there, and whole"
        click.echo(plain(f"{order.entry.key}: {lacking} ({order.repo} at {order.commit[:12]}; {licence})"))
    needed, transfer = download.make_room(orders, home), TransferStats()
    if needed.bytes:
        into = f"{amount(needed.bytes)} to fetch into {catalogue.hub_cache()}, {needed.disk()}; {needed.time()}"
        click.echo(plain(into))
    _quiet_unless_watched()
    for order in orders:
        try:
            download.fetch(order, home, _say, transfer)
        except download.Unreachable:
            raise
        except JarvisError as error:
            _failed(failures, error)
    if transfer.bytes:
        click.echo(f"Fetched {transfer} in {took(transfer.seconds)}.")
    return failures


def _orders(entries: list[ModelEntry], failures: list[JarvisError]) -> list[DownloadPlan]:
    orders = []
    for entry in entries:
        try:
            orders.append(download.plan_download(entry, _say))
        except download.Unreachable:
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
    """Progress bars are shown on a terminal only; elsewhere one line per finished file."""
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    (enable_progress_bars if on_terminal() else disable_progress_bars)()


def _checked(entry: ModelEntry, home: Home) -> bool:
    """Check the files of a model, then whether mlx-lm can load them, and print the result. True without a problem."""
    verdict = integrity.examine(entry, home)
    for problem in verdict.problems:
        click.echo(plain(f"problem  {entry.key}: {problem}"))
    if verdict.problems:
        click.echo(plain(f"         {catalogue.remedy(entry)}"))
        return False
    if entry.kind == "chat" and (flaw := loading.flaw(catalogue.require(entry, home))):
        click.echo(plain(f"problem  {entry.key}: {flaw}"))
        click.echo(f"         {catalogue.LEAVE_OUT}")
        return False
    how = f"{verdict.compared} files as the hub has them" if verdict.compared else "sizes only: no hashes are known"
    click.echo(plain(f"ok       {entry.key}: {verdict.bytes:,} bytes, {how}"))
    return True
