"""The results as tables for a spreadsheet: replies.csv and models.csv."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from jarvisd.plugin import visible
from jobs.lib.comparison.document import Generation, ModelDocument
from jobs.report.gather import Report
from jobs.report.rows import metrics as metric_rows
from jobs.report.rows import models as model_rows

#: A spreadsheet takes a cell that begins so for a formula, and runs it; also in the full width of East Asian fonts.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
#: The same behind a semicolon, which separates cells in many countries, even inside quotes that begin later in the
#: line. Not before a bracket: that is a smiley.
_LATER_FORMULA = re.compile(r"(?<=;)(\s*)(?=[=+@\uff1d\uff0b\uff20]|[-\uff0d][^)(\]\[])")

_REPLY = (
    "scenario_id",
    "prompt",
    "sample",
    "round",
    "batched",
    "context",
    "instruction",
    "reply",
    "reference",
    "success",
    "failure",
    "quality",
    "style",
    "meaning",
    "bits_per_character",
    "latency_ms",
    "ttft_ms",
    "tokens",
    "tokens_per_second",
    "thinking",
    "finish_reason",
    "seed",
)
_STATS = (
    "total_tests",
    "successes",
    "success_rate",
    "quality",
    "quality_clusters",
    "p50_latency_ms",
    "p95_latency_ms",
    "max_latency_ms",
    "avg_ttft_ms",
    "inter_token_ms",
    "tokens_per_second",
    "characters_per_second",
    "first_reply_ms",
    "peak_memory_mb",
    "process_peak_mb",
)


def files(report: Report) -> dict[str, str]:
    """File name -> content; none without a comparison."""
    return {"replies.csv": replies(report), "models.csv": models(report)} if report.comparison else {}


def replies(report: Report) -> str:
    """One line per reply, whole texts; a text that a spreadsheet would run begins with an apostrophe."""
    rows = (
        [key, model.name, *(getattr(reply, field) for field in _REPLY), _failed_checks(reply)]
        for key, model in report.models.items()
        for reply in model.generations
    )
    return _text(["model", "name", *_REPLY, "failed_checks"], rows)


def _failed_checks(reply: Generation) -> str:
    return "; ".join(name for name, passed in reply.checks.items() if not passed)


def models(report: Report) -> str:
    """One line per model; quality and time are leader-adjusted, as in the table of the report."""
    groups = report.comparison.groups if report.comparison else {}
    header = ["model", "name", "group", "quality_low", "quality_high", *metric_rows.METRICS, *_STATS]
    header += ["left_mb", "licence", "marks"]
    rows = (_model(report, key, model, groups.get(key)) for key, model in model_rows.in_order(report))
    return _text(header, rows)


def _model(report: Report, key: str, model: ModelDocument, group: str | None) -> list[object]:
    stats = model.stats
    low, high = stats.shared_quality_ci or (None, None)
    metrics = [stats.metrics[metric].mean for metric in metric_rows.METRICS]
    adjusted = {"quality": stats.shared_quality, "p50_latency_ms": stats.shared_p50_ms}
    figures = [adjusted[field] if field in adjusted else getattr(stats, field) for field in _STATS]
    left = model_rows.left_mb(report, model_rows.peak_mb(stats))
    marks = "; ".join(model_rows.marks(report, key, model))
    return [key, model.name, group, low, high, *metrics, *figures, left, model.info.get("licence"), marks]


def _text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    """Numbers as they are; texts without control characters, and never a formula."""
    if value is None or isinstance(value, (int, float)):
        return "" if value is None else value
    text = _LATER_FORMULA.sub(r"\1'", visible(str(value)))
    return f"'{text}" if text.startswith(_FORMULA) else text
