"""The last lines of a demonstration: what the run found, what to do next, and where the report is."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from jarvisd.plugin import Home


def print_for(home: Home, run_id: str) -> None:
    """Print the results of a run, three next steps, and the paths of its report."""
    folder = home.run_folder(run_id)
    stats = _json(folder / "templates.json").get("stats")
    if stats and stats.get("total_messages") is not None:  # null when mining failed
        click.echo(templates_line(stats))
    verdict = _json(folder / "mlx_comparison_results.json").get("verdict", {})
    if why := verdict.get("why"):
        click.echo(f"Verdict: {why}")
    pages = [folder / name for name in ("report.html", "REPORT.md") if (folder / name).is_file()]
    if pages:
        click.echo("")
        for step in _next_steps(verdict, run_id, _program(home)):
            click.echo(step)
        click.echo("")
    for page in pages:
        click.echo(f"Report: {page}")


def templates_line(stats: dict[str, Any]) -> str:
    """The result of mining in one line; `stats` as in templates.json."""
    line = f"Templates: {stats['templates_extracted']} from {stats['total_messages']:,} messages"
    if stats.get("coverage") is not None:
        line += f", covering {stats['coverage']:.1%} of messages that came later"
    return line


def _next_steps(verdict: dict[str, Any], run_id: str, program: str) -> Iterator[str]:
    """Commands that work from the current folder, each with what it does."""
    yield "Next:"
    yield f"  {program} report --open {run_id}    the report, in your browser"
    if verdict.get("pick") is not None:
        yield f"  {program} vote {run_id}    a few blind answers of yours may decide between the models"
    else:
        yield f"  {program} demo --models all    compares two models"
    yield f"  {program} init    your own messages and models (on a Mac)"


def _program(home: Home) -> str:
    """What to type for jarvisctl in this shell, with the home where that was named."""
    named = f" --home {shlex.quote(str(home.root))}" if home.source == "--home" else ""
    return f"{shlex.quote(_path())}{named}"


def _path() -> str:
    """The bare name where PATH leads to this installation, else a path."""
    own = Path(sys.argv[0])
    on_path = shutil.which("jarvisctl")
    if own.name != "jarvisctl" or (on_path and Path(on_path).resolve() == own.resolve()):
        return "jarvisctl"
    relative = os.path.relpath(own)
    return relative if not relative.startswith("..") else str(own)


def _json(path: Path) -> dict[str, Any]:
    """A file of the run, or {} where the run did not get that far."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
