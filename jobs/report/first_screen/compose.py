"""The first screen of a report, from what was gathered of the run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from jarvisd.plugin import Status, counted
from jobs.report.attempt import attempt
from jobs.report.escape import clean
from jobs.report.first_screen.cards import cards
from jobs.report.first_screen.data import FirstScreen
from jobs.report.first_screen.prompts import prompts
from jobs.report.first_screen.ranking import ranking
from jobs.report.gather import Report
from jobs.report.rows import sentences

Item = TypeVar("Item")


def first_screen(report: Report) -> FirstScreen:
    """Plain data for first_screen.html; whatever else shows it needs nothing besides.

    A part that fails is empty and named in `problems`.
    """
    problems: list[str] = []
    weights = report.rules.in_force.weights
    total = sum(weights.values()) or 1
    succeeded = report.counted(Status.SUCCEEDED)
    return FirstScreen(
        title=clean(report.title, 120),
        when=_when(report),
        jobs=f"{succeeded} of {counted(len(report.jobs), 'job')}",
        all_succeeded=succeeded == len(report.jobs),
        badge="demo data" if report.is_demo else "",
        note=" ".join(filter(None, [report.late, sentences.on_demo_data(report)])),
        links=_links(report),
        cards=_part("cards", cards, report, problems),
        ranking=_part("ranking", ranking, report, problems),
        weights={name: round(100 * weight / total) for name, weight in weights.items()},
        prompts=_part("prompts", prompts, report, problems),
        problems=tuple(problems),
    )


def _part(
    name: str, make: Callable[[Report], tuple[Item, ...]], report: Report, problems: list[str]
) -> tuple[Item, ...]:
    def failed(error: Exception) -> tuple[Item, ...]:
        problems.append(f"{name}: could not be rendered: {type(error).__name__}")
        return ()

    return attempt(f"{name} of the first screen", partial(make, report), failed)


def _when(report: Report) -> str:
    """Sun 22 Nov 22:00 → Mon 06:55, in local time; the night's date for a run that did not begin."""
    if report.started_at is None:
        return f"night of {clean(report.night, 20)}"
    begun = report.started_at.astimezone()
    text = _short(begun)
    if report.ended_at is None:
        return f"since {text}"
    ended = report.ended_at.astimezone()
    return f"{text} → {f'{ended:%H:%M}' if ended.date() == begun.date() else f'{ended:%a %H:%M}'}"


def _short(moment: dt.datetime) -> str:
    return f"{moment:%a} {moment.day} {moment:%b %H:%M}"


def _links(report: Report) -> tuple[tuple[str, str], ...]:
    """The parts of the page below the first screen that this run has."""
    compared, mined = bool(report.models), report.templates is not None
    every = (
        ("replies", "Replies", compared),
        ("models", "Models", compared),
        ("templates", "Templates", mined),
        ("night", "Night", True),
        ("changes", f"⇄ {clean(report.changes.run, 60)}" if report.changes else "", report.changes is not None),
    )
    return tuple((anchor, name) for anchor, name, is_there in every if is_there)
