"""The ranking on the first screen: the models in order, with what other weights of the plan would change."""

from __future__ import annotations

from collections.abc import Mapping

from jarvisd.plugin import counted
from jobs.lib.comparison import sensitivity
from jobs.lib.comparison.document import ModelDocument
from jobs.lib.comparison.sensitivity import TradeOff
from jobs.report.escape import clean, megabytes
from jobs.report.first_screen.data import RankedModel
from jobs.report.gather import Report
from jobs.report.rows import models as model_rows


def ranking(report: Report) -> tuple[RankedModel, ...]:
    """The models by their rank, those that miss a limit last."""
    ordered = model_rows.in_order(report)
    among = [key for key, model in ordered if not model.fails_gate]
    trade_offs = {key: TradeOff.of(model.stats) for key, model in ordered}
    parts = sensitivity.scaled(trade_offs, among) or {}
    return tuple(_ranked(report, key, model, parts.get(key, {})) for key, model in ordered)


def _ranked(report: Report, key: str, model: ModelDocument, parts: Mapping[str, float]) -> RankedModel:
    figures, peak = model.stats, model_rows.peak_mb(model.stats)
    low, high = figures.shared_quality_ci or (None, None)
    return RankedModel(
        key=clean(key, 80),
        name=model_rows.name(report, key),
        value=figures.shared_quality,
        low=low,
        high=high,
        seconds="–" if figures.shared_p50_ms is None else f"{figures.shared_p50_ms / 1000:.1f}",
        complete=f"{figures.successes}/{figures.total_tests}",
        memory="–" if peak is None else megabytes(peak),
        against_first=_against_first(report, key, model),
        is_present=report.comparison is not None and report.comparison.verdict.present == key,
        is_out=model.fails_gate,
        parts=parts,
    )


def _against_first(report: Report, key: str, model: ModelDocument) -> str:
    """Winner, 8 points behind, or why it may not be chosen; a point is a hundredth of quality."""
    if model.gates:
        return f"misses a limit: {clean(model.gates[0], 160)}"
    if key == model_rows.winner(report):
        return model_rows.of_winner(report)
    best = model_rows.pick(report)
    if key == best:
        return "best guess"
    mine = model.stats.shared_quality
    first = report.models[best].stats.shared_quality if best is not None else None
    if mine is None or first is None:
        return "not compared"
    return points(first - mine)


def points(lead: float) -> str:
    """8 points behind; equal; 3 points ahead."""
    number = round(100 * lead)
    if not number:
        return "equal"
    return f"{counted(abs(number), 'point')} {'behind' if number > 0 else 'ahead'}"
