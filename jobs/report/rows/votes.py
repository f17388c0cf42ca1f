"""The rows about votes: wins of each model, the ratings that follow, and how far a judge agrees."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.lib.comparison.votes import LEVEL, MIN_VOTES, Rating, VoteSummary
from jobs.report.escape import clean
from jobs.report.gather import Report
from jobs.report.rows import models as model_rows

RATING_HEADER = ["Model", "Strength, log odds (95 % interval)", "Votes"]


def votes(report: Report) -> VoteSummary | None:
    """The votes; None without any."""
    return report.comparison.votes if report.comparison and report.comparison.votes.n else None


def invitation(report: Report) -> str:
    """How to vote, where no vote was given yet; "" where that is not possible."""
    if votes(report) or len(report.models) < 2:
        return ""
    command = f"jarvisctl vote {clean(report.run_id, 120)}"
    return f"There are no votes on these replies yet: {command} shows them in pairs, without names."


def matrix_header(report: Report) -> list[str]:
    return ["Wins of … against", *(model_rows.name(report, key) for key in _keys(report))]


def _wins(report: Report) -> Mapping[str, Mapping[str, float]]:
    given = votes(report)
    return given.wins if given else {}


def _keys(report: Report) -> list[str]:
    """Models that at least one vote was about, by their rank."""
    wins = _wins(report)
    seen = set(wins) | {other for row in wins.values() for other in row}
    return [key for key, _ in model_rows.in_order(report) if key in seen]


def matrix_rows(report: Report) -> list[list[str]]:
    """Share of the decided votes that the row's model won against the column's, with their number."""
    wins, keys = _wins(report), _keys(report)
    return [[model_rows.name(report, key), *(_cell(wins, key, other) for other in keys)] for key in keys]


def _cell(wins: Mapping[str, Mapping[str, float]], key: str, other: str) -> str:
    won = wins.get(key, {}).get(other, 0)
    n = won + wins.get(other, {}).get(key, 0)
    if key == other or not n:
        return "–"
    return f"{100 * won / n:.0f} % ({won:g} of {n:g})"


def rating_rows(report: Report) -> list[list[str]]:
    """Bradley-Terry strengths, the strongest first, as RATING_HEADER."""
    given = votes(report)
    ratings = given.ratings.items() if given else ()
    return [[model_rows.name(report, key), _strength(rating), f"{rating.n}"] for key, rating in ratings]


def _strength(rating: Rating) -> str:
    known = rating.low is not None and rating.high is not None
    return f"{rating.strength:+.2f}" + (f" ({rating.low:+.2f} to {rating.high:+.2f})" if known else "")


_HALVES = 'A tie counts half a win for each, and so does "both bad".'
_RULE = (
    f"A preference counts once a pair has {MIN_VOTES} votes and chance would divide the decided ones so in less than "
    f"{100 * LEVEL:.0f} of 100: 10 of 10, 11 of 12, 13 of 15."
)


def notes(report: Report) -> list[str]:
    """How many votes there are, how they are counted, and how far a judge agrees with the owner."""
    given = votes(report)
    if given is None:
        return []
    parts = [f"{given.n} blind votes, {given.by_owner} of them yours."]
    if given.both_bad:
        parts.append(f"Both bad: {given.both_bad} of yours.")
    if given.invalid:
        parts.append(f"Invalid: {given.invalid} of all.")
    if given.by_owner:
        parts += [_HALVES, _RULE]
    if given.agreement and given.agreement.judge is not None:
        kappa, n = given.agreement.judge, given.agreement.n
        parts.append(f"The judge agrees with you with Cohen's kappa {kappa:.2f} on {n} pairs.")
    return parts
