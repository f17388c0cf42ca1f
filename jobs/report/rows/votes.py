"""The rows about votes: wins of each model, how far each is preferred, and how far a judge agrees."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.lib.comparison.preference import LEAST_VOTES, NAMED, NAMED_OF_TWO
from jobs.lib.comparison.preferences import Rating
from jobs.lib.comparison.votes import VoteSummary
from jobs.report.escape import clean
from jobs.report.gather import Report
from jobs.report.rows import models as model_rows

RATING_HEADER = ["Model", "Chance that you prefer its reply to another's", "Likely range", "Votes"]


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
    """How far each model is preferred, the most preferred first, as RATING_HEADER."""
    given = votes(report)
    ratings = given.ratings.items() if given else ()
    return [[model_rows.name(report, key), *_chance(rating), f"{rating.n}"] for key, rating in ratings]


def _chance(rating: Rating) -> tuple[str, str]:
    low, high = (100 * end for end in rating.preferred_ci)
    return f"{100 * rating.preferred:.0f} of 100", f"{low:.0f} to {high:.0f}"


_HALVES = 'A tie counts half a win for each, and so does "both bad".'
_RULE = (
    "The chances come from your votes and from our score together; the score counts as much as it agreed with your "
    f"votes so far. From {LEAST_VOTES} votes on, a model is named once the chance that you like it best is "
    f"{100 * NAMED:.0f} of 100, and {100 * NAMED_OF_TWO:.0f} of 100 where there are two."
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
    agreed = report.comparison.verdict.agreement if report.comparison else None
    if agreed and agreed.of:
        parts.append(f"Our score agrees with your ear in {agreed.agreed} of {agreed.of}.")
    if given.agreement:
        parts.append(f"The judge chose as you did in {given.agreement.same} of {given.agreement.n} pairs.")
    return parts
