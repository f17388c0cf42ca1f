"""`jarvisctl score`."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jarvisd.cli.common import App
from jarvisd.plugin import PlanContext, UsageError
from jarvisd.words import plain

if TYPE_CHECKING:
    from jobs.evaluate.scenarios import ResolvedScenarios
    from jobs.evaluate.scoring import Answer, ReplyScore
    from jobs.lib.embedding.encoder import Encoder

_PATIENCE_S = 2.0
_MOST_BYTES = 16 << 20  # of a file of replies
#: Embedders in the order in which they are looked for, by their keys in models.yaml; what is not there is left out.
_EMBEDDERS = ("all-minilm-l6-v2", "minilm", "all-mpnet-base-v2")
_EXAMPLE = '{"scenario": "running-late", "instruction": "Say no worries", "reply": "No worries!"}'


@click.command("score")
@click.argument("file", required=False)
@click.option("--scenarios", default="scenarios.yaml", metavar="FILE", help="The prompts, checks and examples.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def score(app: App, file: str | None, scenarios: str, as_json: bool) -> int:
    """Score replies to the prompts of scenarios.yaml: the value of each, its checks, and what its examples say.

    FILE holds one JSON object per line with scenario, instruction and reply; without FILE they are read from standard
    input. It shows what a change of scenarios.yaml does.

    \b
    Example:
      jarvisctl score replies.jsonl --json
      echo '{"scenario": "running-late", "instruction": "Say no worries", "reply": "No prob!"}' | jarvisctl score
    """
    from jobs.evaluate import scenarios as sheets
    from jobs.evaluate.scoring import Scorer

    setting = PlanContext(home=app.home, folder=Path.cwd(), messages=Path())
    sheet = sheets.load(scenarios, setting)
    answers = _answers(_lines(file), sheet)
    encoder = _encoder(setting) if answers else None
    with _told_if_slow(encoder):
        scores = Scorer(sheet, encoder.encode if encoder else None).score(answers) if answers else []
    if as_json:
        click.echo(json.dumps(_document(answers, scores, encoder)))  # in ASCII: the texts come from elsewhere
    else:
        _print(answers, scores, encoder)
    return 0


@contextmanager
def _told_if_slow(encoder: Encoder | None) -> Iterator[None]:
    """One line on standard error where it takes longer than a person expects."""
    what = "Learning from the examples of the scenarios"
    if encoder is not None:
        what += f"; {encoder.name} reads new ones once and keeps their vectors in var/cache/embeddings"
    timer = threading.Timer(_PATIENCE_S, lambda: click.echo(f"{what}.", err=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _lines(file: str | None) -> list[str]:
    """The text of FILE or of standard input. Raises UsageError where there is none or it is no UTF-8."""
    name = "standard input" if file in (None, "-") else str(file)
    try:
        data = sys.stdin.buffer.read(_MOST_BYTES + 1) if file in (None, "-") else _read(Path(name))
    except OSError as error:
        raise UsageError(f"{name} cannot be read ({(error.strerror or 'error').lower()})", "Name a file.") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{name} is larger than {_MOST_BYTES >> 20} MB", "Split it.")
    lines = data.split(b"\n")
    return [_decoded(line, number) for number, line in enumerate(lines, 1)]


def _read(path: Path) -> bytes:
    with path.open("rb") as source:
        return source.read(_MOST_BYTES + 1)


def _decoded(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"line {number} is not UTF-8", "Save the file as UTF-8.") from None


def _answers(lines: list[str], sheet: ResolvedScenarios) -> list[Answer]:
    """One answer per line that is not blank. Raises UsageError with the line's number."""
    return [_answer(line, number, sheet) for number, line in enumerate(lines, 1) if line.strip()]


def _answer(line: str, number: int, sheet: ResolvedScenarios) -> Answer:
    from jobs.evaluate.scoring import Answer

    row = _row(line, number)
    scenarios = {scenario.id: scenario for scenario in sheet.scenarios}
    scenario = scenarios.get(row["scenario"])
    if scenario is None:
        raise _bad(number, f"no scenario is called {row['scenario']!r}", f"There are {', '.join(scenarios)}.")
    prompts = {prompt.instruction: prompt for prompt in scenario.prompts}
    prompt = prompts.get(row["instruction"])
    if prompt is None:
        known = "; ".join(prompts)
        raise _bad(number, f"{scenario.id} has no instruction {row['instruction']!r}", f"It has: {known}.")
    finish_reason = row.get("finish_reason", "stop")
    return Answer(scenario=scenario, prompt=prompt, raw=row["reply"], finish_reason=finish_reason)


def _row(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise _bad(number, "it is not JSON", f"Write one object per line: {_EXAMPLE}") from None
    if not isinstance(row, dict):
        raise _bad(number, "it is not a JSON object", f"Write one object per line: {_EXAMPLE}")
    for key in ("scenario", "instruction", "reply"):
        if not isinstance(row.get(key), str):
            raise _bad(number, f"{key} is missing or not a text", f"Write one object per line: {_EXAMPLE}")
    return {key: _valid(value) if isinstance(value, str) else value for key, value in row.items()}


def _valid(text: str) -> str:
    """Without half surrogate pairs, which JSON allows and UTF-8 does not."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _bad(number: int, what: str, remedy: str) -> UsageError:
    return UsageError(f"line {number}: {plain(what)}", remedy)


def _encoder(setting: PlanContext) -> Encoder | None:
    """The first embedder that is on this disk and works; None where there is none."""
    from jobs.lib.embedding.encoder import Encoder
    from jobs.lib.embedding.numpy_bert import Bert
    from jobs.lib.models import catalogue

    known = {entry.key: entry for entry in catalogue.catalogue(setting.home) if entry.kind == "embedder"}
    for entry in (known[key] for key in _EMBEDDERS if key in known):
        folder = catalogue.locate(entry, setting.home)
        if folder is not None and catalogue.problem(entry, setting.home) is None:
            return Encoder(folder, entry.name, setting.home.cache / "embeddings", fast=Bert)
    return None


def _document(answers: list[Answer], scores: list[ReplyScore], encoder: Encoder | None) -> dict[str, Any]:
    replies = [_result(answer, score) for answer, score in zip(answers, scores, strict=True)]
    return {"replies": replies, "encoder": encoder.name if encoder else None}


def _result(answer: Answer, score: ReplyScore) -> dict[str, Any]:
    return {
        "scenario": answer.scenario.id,
        "instruction": answer.prompt.instruction,
        "score": round(score.value, 4),
        "checks": score.checks,
        "failure": score.failure,
        "checks_score": round(score.checks_value, 4),
        "examples_score": _rounded(score.reader),
        "disagreement": _rounded(score.disagreement),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _print(answers: list[Answer], scores: list[ReplyScore], encoder: Encoder | None) -> None:
    """A line per reply: value, both readers, the reply, and what is wrong with it."""
    click.echo("value  checks  examples  reply")
    for answer, score in zip(answers, scores, strict=True):
        examples = "     -  " if score.reader is None else f"{score.reader:8.2f}"
        failed = [name for name, passed in score.checks.items() if not passed]
        flaws = score.failure or ", ".join(f"not: {name}" for name in failed)
        shown = plain(answer.raw)
        click.echo(
            f"{score.value:5.2f}  {score.checks_value:6.2f}  {examples}  {shown}{f'  ({flaws})' if flaws else ''}"
        )
    if encoder is None:
        click.echo("No embedder is on this disk: the examples are compared by spelling and words alone.", err=True)
