"""`jarvisctl match`."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from jarvisd.cli.common import App
from jarvisd.plugin import UsageError
from jarvisd.words import plain

if TYPE_CHECKING:
    from jobs.lib.matching.index import Index, Match

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
    incoming = _incoming(text)
    app.need_ledger()
    app.open_ledger()
    from jobs.lib.matching.index import Index

    index = Index.of_newest(app.home)
    ready = time.perf_counter()
    result = index.match(incoming)
    took = time.perf_counter() - ready - index.loading_s
    answer = _answer(incoming, result, took, ready - began + index.loading_s)
    click.echo(json.dumps(answer) if as_json else _words(index, result, answer))
    return 0 if result.fires else 1


def _incoming(text: str) -> str:
    if text == "-":
        text = sys.stdin.buffer.read(_MOST_BYTES).decode("utf-8", "replace")
    valid = text.encode("utf-8", "replace").decode("utf-8")  # a shell may pass bytes that are not valid UTF-8
    if not valid.strip():
        raise UsageError("there is no text to match", 'Give it in quotes: jarvisctl match "see you soon".')
    return valid


def _answer(text: str, result: Match, took_s: float, cold_s: float) -> dict[str, Any]:
    """The document of --json: the nearest trigger, and its template only where it fires."""
    nearest = result.trigger
    return {
        "text": text,
        "fires": result.fires,
        "reply": nearest.reply if result.fires else None,
        "template": nearest.template if result.fires else None,
        "tier": nearest.tier if result.fires else None,
        "similarity": round(result.similarity, 4),
        "how": result.how,
        "ms": round(took_s * 1000, 3),
        "cold_ms": round(cold_s * 1000, 1),
        "nearest": nearest.shown,
        "threshold": nearest.threshold,
        "about": result.about,
    }


def _words(index: Index, result: Match, answer: dict[str, Any]) -> str:
    nearest = result.trigger
    if result.about is not None:
        return f"No template answers a text like this one: {result.about}."
    if not result.fires:
        return (
            f'No template of {index.mining.run_id} fires: the nearest trigger is "{plain(nearest.shown)}" with a '
            f"similarity of {result.similarity:.2f}, and {nearest.threshold:.2f} is needed."
        )
    how = {
        "exact": "the same words as",
        "fast": f"similarity {result.similarity:.2f} in spelling to",
        "encoder": f"similarity {result.similarity:.2f} to",
    }[result.how]
    return (
        f"{plain(nearest.reply)}\n"
        f'  {nearest.tier}, {how} "{plain(nearest.shown)}", {answer["ms"]:.1f} ms after a start of '
        f"{answer['cold_ms']:.0f} ms, template {nearest.template}"
    )
