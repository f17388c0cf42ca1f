"""The rows about votes: who won against whom, the ratings that follow, and how far a judge agrees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.lib.comparison.votes import LEVEL, MIN_VOTES
from jobs.report.escape import clean, number
from jobs.report.gather import Report
from jobs.report.rows import models as model_rows

RATING_HEADER = ["Model", "Strength, log odds (95 % interval)", "Votes"]


def found(report: Report) -> Mapping[str, Any]:
    """What the document says of votes; empty without any."""
    votes = (report.comparison or {}).get("votes") or {}
    return votes if votes.get("n") else {}


def invitation(report: Report) -> str:
    """How to vote, where nobody has; "" where that is not possible."""
    if found(report) or "vote" not in report.verbs or len(report.models) < 2:
        return ""
    command = f"jarvisctl vote {clean(report.run_id, 120)}"
    return f"Nobody has voted on these replies yet: {command} shows them in pairs, without names."


def matrix_header(report: Report) -> list[str]:
    return ["Wins of … against", *(model_rows.name(report, key) for key in _keys(report))]


def _keys(report: Report) -> list[str]:
    """Models that at least one vote was about, by their standing."""
    wins = found(report).get("wins") or {}
    seen = set(wins) | {other for row in wins.values() for other in row}
    return [key for key, _ in model_rows.in_order(report) if key in seen]


def matrix_rows(report: Report) -> list[list[str]]:
    """Share of the decided votes that the row's model won against the column's, with their number."""
    wins, keys = found(report).get("wins") or {}, _keys(report)
    return [[model_rows.name(report, key), *(_cell(wins, key, other) for other in keys)] for key in keys]


def _cell(wins: Mapping[str, Mapping[str, float]], key: str, other: str) -> str:
    won = (wins.get(key) or {}).get(other, 0)
    n = won + (wins.get(other) or {}).get(key, 0)
    if key == other or not n:
        return "–"
    return f"{100 * won / n:.0f} % ({won:g} of {n:g})"


def rating_rows(report: Report) -> list[list[str]]:
    """Bradley-Terry strengths, the strongest first, as RATING_HEADER."""
    ratings = found(report).get("ratings") or {}
    rows = sorted(ratings.items(), key=lambda item: -(item[1].get("strength") or 0))
    return [[model_rows.name(report, key), _strength(row), f"{row.get('n') or 0:g}"] for key, row in rows]


def _strength(row: Mapping[str, Any]) -> str:
    low, high = row.get("low"), row.get("high")
    ends = f" ({low:+.2f} to {high:+.2f})" if low is not None and high is not None else ""
    strength = row.get("strength")
    return number(strength) if strength is None else f"{strength:+.2f}{ends}"


_HALVES = 'A tie counts half a win for each, and so does "both bad".'
_RULE = (
    f"A preference counts once a pair has {MIN_VOTES} votes and chance would divide the decided ones so in less than "
    f"{100 * LEVEL:.0f} of 100: 10 of 10, 11 of 12, 13 of 15."
)


def notes(report: Report) -> list[str]:
    """How many votes, whose, how they are counted, and how far a judge agrees with the owner."""
    votes = found(report)
    if not votes:
        return []
    n, own = votes["n"], votes.get("by_owner") or 0
    parts = [f"{n} blind votes, {own} of them yours."]
    if bad := votes.get("both_bad"):
        parts.append(f"Both bad: {bad} of yours.")
    if invalid := votes.get("invalid"):
        parts.append(f"Invalid: {invalid} of all.")
    if own:
        parts += [_HALVES, _RULE]
    parts += _agreements(report, votes.get("agreement") or {})
    return parts


def _agreements(report: Report, agreement: Mapping[str, Any]) -> list[str]:
    """A sentence for each judge that saw pairs which the owner saw too."""
    found = []
    for judge, value in agreement.items():
        kappa, n = (value.get("kappa"), value.get("n")) if isinstance(value, dict) else (value, agreement.get("n"))
        if judge != "n" and isinstance(kappa, (int, float)):
            on = f" on {n} pairs" if n else ""
            name = "" if judge == "judge" else f" {model_rows.name(report, judge.removeprefix('judge:'))}"
            found.append(f"The judge{name} agrees with you with Cohen's kappa {kappa:.2f}{on}.")
    return found
