"""templates.json, built from the database alone."""

from __future__ import annotations

from typing import Any

from jobs.lib.results.tables import Mining, Template


def document(run_id: str) -> dict[str, Any] | None:
    """What a run's mining found, in the shape of templates.json; None where it has none."""
    mining = Mining.select().where(Mining.run == run_id).order_by(Mining.job.desc()).first()
    if mining is None:
        return None
    rows = Template.select().where(Template.job == mining.job_id).order_by(Template.rank)
    return {
        "stats": mining.stats,
        "templates": [_template(row) for row in rows],
        "config": mining.config,
    }


def _template(row: Template) -> dict[str, Any]:
    return {
        "id": row.uuid,
        "rank": row.rank,
        "representative": row.representative,
        "frequency": row.frequency,
        "uses": row.uses,
        "examples": row.examples,
        "triggers": row.triggers,
        "people": row.people,
        "tier": row.tier,
        "threshold": row.threshold,
        "precision": row.precision,
        "precision_low": row.precision_low,
        "fired": row.fired,
        "right": row.right,
    }
