"""Rows of the run that its document of the comparison does not hold: loadings, the order of replies, exact prompts."""

from __future__ import annotations

from typing import Any

from jobs.lib.results.tables import ModelLoad, Reply


def loadings(run_id: str) -> list[dict[str, Any]]:
    """Every loading of a model in the run, in the order of its jobs."""
    rows = ModelLoad.select().where(ModelLoad.run == run_id).order_by(ModelLoad.job)
    return [
        {
            "model": row.model,
            "round": row.job.round,
            "load_time_s": row.load_time_s,
            "load_peak_mb": row.load_peak_mb,
            "process_mb": row.process_mb,
            "first_reply_ms": row.first_reply_ms,
            "conditions": row.conditions if isinstance(row.conditions, dict) else {},
        }
        for row in rows
    ]


def timeline(run_id: str) -> list[dict[str, Any]]:
    """Every reply that was timed by itself, the oldest first."""
    rows = (
        Reply.select(Reply.model, Reply.round, Reply.latency_ms, Reply.success, Reply.created_at)
        .where(Reply.run == run_id, Reply.latency_ms.is_null(False), ~Reply.batched)
        .order_by(Reply.created_at, Reply.id)
    )
    return [
        {
            "model": row.model,
            "round": row.round,
            "latency_ms": row.latency_ms,
            "success": bool(row.success),
            "at": row.created_at,
        }
        for row in rows
    ]


def prompts(run_id: str) -> dict[str, str]:
    """Key of a model -> the exact text of the first prompt that it was given."""
    rows = Reply.select(Reply.model, Reply.rendered).where(Reply.run == run_id).order_by(Reply.id.desc())
    return {row.model: row.rendered for row in rows if row.rendered}
