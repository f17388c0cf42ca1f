"""What a session of votes says: how far it is, and what the answers changed. The terminal and the page say the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jarvisd.words import counted, plain
from jobs.lib.comparison.counsel import in_ten
from jobs.lib.comparison.posterior import LEAST_GAIN
from jobs.lib.comparison.preference import MOST_VOTES

if TYPE_CHECKING:
    from jobs.lib.comparison.pipeline import Comparison as Compared
    from jobs.lib.comparison.preference import Agreement
    from jobs.lib.comparison.preferences import Preferences
    from jobs.verbs.vote.session import Session

NOT_STORED = "This pair has an answer already, or its replies are gone."
_LONGEST = 1000  # characters of a message that are shown


def shown(text: str, line_end: str = " ⏎ ") -> str:
    """Text as a person sees it: harmless, not endless, with `line_end` where a line ends."""
    clean = line_end.join(line for part in text.splitlines() if (line := plain(part).strip()))
    more = len(clean) - _LONGEST
    return f"{clean[:_LONGEST]}… ({more:,} more characters)" if more > 0 else clean


# ------------------------------------------------------------------------------------------------ how far it is


def before(session: Session) -> str:
    """How many answers can decide, before the first one; "" where that is not known."""
    left = session.answers_left
    if left is None:
        return ""
    if left == 0:
        return "The scores decide this already; your answers can still change it."
    return f"{counted(left, 'answer')} can decide this at best."


def after_answer(session: Session, end: str) -> str:
    """How far the session is after an answer; the first time that it is decided, the proposal to end it.

    `end` says how: "press q". Returns "" where there is nothing to say.
    """
    if left := session.answers_left:
        return f"{counted(left, 'more answer')} can decide this."
    if session.proposes_end():
        return f"{_enough(session, end)} {agreed(session.agreement)}".rstrip()
    return ""


def _enough(session: Session, end: str) -> str:
    """The proposal to end the session."""
    if session.stored >= MOST_VOTES:
        return f"{session.stored} answers are enough for one session: {end} to end it, or go on."
    loss = f"if the best guess is wrong, less than {LEAST_GAIN:g} of quality is lost on average"
    return f"This is decided: {loss}. {end[0].upper()}{end[1:]} to end, or go on."


def agreed(agreement: Agreement) -> str:
    """ "Our score agrees with your ear in 9 of 12."; "" before a vote that can tell."""
    return f"Our score agrees with your ear in {agreement.agreed} of {agreement.of}." if agreement.of else ""


# --------------------------------------------------------------------------------------------------- what it comes to


def change(before: Compared, after: Compared) -> str:
    """How the ranking and the decision changed, as sentences."""
    old, new = ranking(before), ranking(after)
    sentences = f"{best_guess(after)}{preferences(after)}"
    if after.preferences and any(_preferred(after.preferences)) and old != new:
        earlier = f" (before: {', '.join(old)})" if old else ""
        sentences = f"By your votes: {', '.join(new)}{earlier}. {sentences}"
    if after.preferences and (told := agreed(after.preferences.agreement)):
        sentences += f" {told}"
    first, then = (compared.decision.winner for compared in (before, after))
    if first != then:
        sentences += (
            f" The winner is now {plain(name(after, then))}." if then else " The report no longer names a winner."
        )
    return sentences


def standing(compared: Compared) -> list[str]:
    """A line for each model that was voted on, the most preferred first."""
    lines = []
    for key, rating in compared.document.votes.ratings.items():
        won, of = compared.preferences.won(key) if compared.preferences else (0, 0)
        low, high = (100 * end for end in rating.preferred_ci)
        chance = f"preferred to another one in {100 * rating.preferred:.0f} of 100 ({low:.0f} to {high:.0f})"
        lines.append(f"{plain(name(compared, key))}: won {won} of {of}; {chance}")
    return lines


def best_guess(compared: Compared) -> str:
    """ "Best guess: Model A (about 7 in 10). "; "" where there is none."""
    verdict = compared.document.verdict
    guess = plain(name(compared, verdict.pick)) if verdict.pick else ""
    return f"Best guess: {guess} ({in_ten(verdict.p_best)} that it is the best). " if guess else ""


def _preferred(preferences: Preferences) -> Iterator[tuple[str, str]]:
    """Pairs of models that were voted on, of which the first is nearly certainly preferred to the second."""
    pairs = itertools.permutations(preferences.ratings(), 2)
    return (pair for pair in pairs if preferences.is_preferred(*pair))


def preferences(compared: Compared) -> str:
    """The preferences between models that are nearly certain, or that there are none yet."""
    pairs = _preferred(compared.preferences) if compared.preferences else ()
    certain = [f"{plain(name(compared, key))} to {plain(name(compared, other))}" for key, other in pairs]
    names = ranking(compared)
    if not certain:
        return f"Your votes do not separate them yet: {', '.join(names)}."
    rest = len(certain) < len(names) * (len(names) - 1) // 2
    return f"You prefer {', '.join(certain)}{'; your votes separate no others yet' if rest else ''}."


def ranking(compared: Compared) -> list[str]:
    """Names of the models that were voted on, the most preferred first."""
    return [plain(name(compared, key)) for key in compared.document.votes.ratings]


def name(compared: Compared, key: str) -> str:
    models = compared.document.models
    return models[key].name if key in models else key


def habits(session: Session) -> str:
    """How often the answers of a session went to the first side and to the longer reply: neither should decide."""
    given = [(ballot, choice) for ballot, choice in session.given if choice in ("left", "right")]
    lengths = [(len(ballot.left.text) - len(ballot.right.text), choice) for ballot, choice in given]
    unequal = [(difference > 0) == (choice == "left") for difference, choice in lengths if difference]
    first = sum(choice == "left" for _, choice in given)
    if not given:
        return "You preferred neither reply of any pair."
    return (
        f"Of {counted(len(given), 'pair')} with a preference you took the first reply in {first}, "
        f"and the longer one in {sum(unequal)} of {len(unequal)}."
    )
