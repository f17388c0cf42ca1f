"""`jarvisctl vote`."""

from __future__ import annotations

import itertools
import json
import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App
from jarvisd.operations import lookup, report
from jarvisd.plugin import JarvisError, UsageError
from jarvisd.words import counted, plain

if TYPE_CHECKING:
    from jarvisd.plugin import Run
    from jobs.lib.comparison.pipeline import Comparison as Compared
    from jobs.lib.comparison.preference import Agreement
    from jobs.lib.comparison.preferences import Preferences
    from jobs.verbs.vote.keys import Answer, Ask
    from jobs.verbs.vote.session import Comparison, Session

_LONGEST = 1000  # characters of a message that are shown
_WIDEST = 100  # columns
_HINT = "1 or 2 is better, t tie, b both bad, s skip, u undo, q quit"


@click.command("vote")
@click.argument("run", required=False)
@click.option("--stats", is_flag=True, help="Show the ranking so far, with names; asks nothing.")
@click.option("--json", "as_json", is_flag=True, help="The ranking as one JSON document; asks nothing.")
@click.option("--between", nargs=2, metavar="A B", help="Compare these two models alone.")
@click.pass_obj
def vote(app: App, run: str | None, stats: bool, as_json: bool, between: tuple[str, str] | None) -> int:
    """Compare replies blindly, two at a time: of RUN, else of the newest run that has replies.

    Names, latencies and sides are hidden. Answers are kept at once, so stop whenever you like and go on later. Then the
    report is written again. Answers are single keys, or lines where they do not come from a terminal.

    \b
    Example:
      jarvisctl vote                  1, 2, t (tie), b (both bad), s (skip), u (undo), q (quit)
      jarvisctl vote 2026-11-22       the replies of that night
      jarvisctl vote --stats          which model your votes prefer
      jarvisctl vote --between qwen3-4b smollm3-3b
    """
    from jobs.lib.comparison.load import load
    from jobs.lib.comparison.pipeline import compare
    from jobs.verbs.vote.challenger import Challenger
    from jobs.verbs.vote.session import Session

    chosen = _run_to_vote_on(app, run)
    before = compare(load(chosen.id))
    fit = [key for key, model in before.document.models.items() if not model.fails_gate]
    if between:
        fit = _two_models(before, between)
    session = Session(chosen, fit, _shown, Challenger.of(before, fit))
    if as_json:
        click.echo(_as_json(chosen, before, session))
    elif stats and before.document.votes.by_owner:
        click.echo(_standing(chosen, before, session))
    elif not session.remaining:
        click.echo(_why_nothing(chosen, fit, before))
    elif stats:
        left = counted(session.remaining, "pair")
        click.echo(f"{chosen.id}: no votes yet, {left} to compare. `jarvisctl vote {chosen.id}` begins.")
    else:
        return _asked(app, chosen, before, session)
    return 0


def _two_models(compared: Compared, words: tuple[str, str]) -> list[str]:
    """The keys of two models of the run, each given by its key or name. Raises UsageError for any other words."""
    models = compared.document.models
    names = {model.name.casefold(): key for key, model in models.items()}
    keys = [word if word in models else names.get(word.casefold(), word) for word in words]
    unknown = next((key for key in keys if key not in models), None)
    if unknown is not None:
        raise UsageError(f"the run has no model {unknown!r}", f"Its models: {', '.join(models)}.")
    if keys[0] == keys[1]:
        raise UsageError(f"--between names {keys[0]} twice", "Name two models.")
    return keys


def _run_to_vote_on(app: App, name: str | None) -> Run:
    from jobs.lib.results.tables import Reply
    from jobs.verbs.vote.session import newest_with_replies

    app.need_ledger()
    app.open_ledger()
    chosen = lookup.find_run(name) if name else newest_with_replies()
    if chosen is None or not Reply.select().where(Reply.run == chosen).exists():
        which = "no run has" if chosen is None else f"{chosen.id} has no"
        raise JarvisError(f"{which} replies to compare yet", "`jarvisctl status` shows what is still to be done.")
    return chosen


def _why_nothing(run: Run, fit: list[str], compared: Compared) -> str:
    if len(fit) < 2:
        left_out = ", ".join(plain(_name(compared, key)) for key in compared.document.models if key not in fit)
        reason = f"; {left_out} did not pass the gates of the report" if left_out else ""
        return f"Nothing to compare in {run.id}: {len(fit)} model has replies to choose from{reason}."
    if compared.document.votes.by_owner:
        return (
            f"Nothing is left to compare in {run.id}: every pair has your answer. `jarvisctl vote --stats` shows them."
        )
    return f"Nothing to compare in {run.id}: no two models gave different replies to the same prompt."


# ------------------------------------------------------------------------------------------------------- a session


def _asked(app: App, run: Run, before: Compared, session: Session) -> int:
    """A session from its first pair to the report; exit code 130 where Ctrl-C ended it."""
    code = 0
    try:
        _ask_all(session)
    except KeyboardInterrupt:
        click.echo()
        code = 130
    _finish(app, run, before, session)
    return code


def _ask_all(session: Session) -> None:
    """Show ballots and store answers until there are none, or the owner has enough."""
    from jobs.verbs.vote.keys import answers

    click.echo(f"Which reply would you rather send? {_HINT}.{_before(session)}")
    with answers() as ask:
        number = 0
        again: Comparison | None = None
        while (ballot := again or session.next()) is not None:
            again = None
            number += 1
            click.echo(_page(ballot, number))
            answer = _answer(ask)
            if answer.means == "quit":
                return
            if answer.means == "undo":
                again = session.undo()
                click.echo("Taken back." if again else "There is no answer of this session to take back.")
                number -= 1 + (again is not None)
                again = again or ballot
            elif answer.means == "skip":
                session.skip(ballot)
            else:
                _store(session, ballot, answer.means)


def _answer(ask: Ask) -> Answer:
    """The owner's answer; what means nothing is asked again."""
    click.echo("> ", nl=False)
    while (answer := ask()).means == "unknown":
        click.echo(f"{_HINT}: ", nl=False)
    click.echo(plain(answer.typed))
    return answer


def _store(session: Session, ballot: Comparison, choice: str) -> None:
    """Store an answer, and say how far the session is; the first time that it is decided, propose its end."""
    if not session.answer(ballot, choice):
        click.echo("This pair has an answer already, or its replies are gone.")
    elif left := session.answers_left:
        click.echo(f"{counted(left, 'more answer')} can decide this.")
    elif session.proposes_end():
        click.echo(f"{_enough(session)} {_agreed(session.agreement)}".rstrip())


def _enough(session: Session) -> str:
    """The proposal to end the session."""
    from jobs.lib.comparison.posterior import LEAST_GAIN
    from jobs.lib.comparison.preference import MOST_VOTES

    if session.stored >= MOST_VOTES:
        return f"{session.stored} answers are enough for one session: press q to end it, or go on."
    loss = f"if the best guess is wrong, less than {LEAST_GAIN:g} of quality is lost on average"
    return f"This is decided: {loss}. Press q to end, or go on."


def _agreed(agreement: Agreement) -> str:
    """ "Our score agrees with your ear in 9 of 12."; "" before a vote that can tell."""
    return f"Our score agrees with your ear in {agreement.agreed} of {agreement.of}." if agreement.of else ""


def _before(session: Session) -> str:
    left = session.answers_left
    if left is None:
        return ""
    if left == 0:
        return "\nThe scores decide this already; your answers can still change it."
    return f"\n{counted(left, 'answer')} can decide this at best."


def _page(ballot: Comparison, number: int) -> str:
    parts = [f"\n{number}.", _wrapped("     ", _shown(ballot.context))]
    if ballot.instruction:
        parts.append(_wrapped("     ", f"({_shown(ballot.instruction)})"))
    return "\n".join([*parts, "", _wrapped("  1  ", ballot.left.text), "", _wrapped("  2  ", ballot.right.text), ""])


def _wrapped(start: str, text: str) -> str:
    width = max(20, min(shutil.get_terminal_size().columns, _WIDEST))
    return textwrap.fill(text, width, initial_indent=start, subsequent_indent=" " * len(start))


def _shown(text: str) -> str:
    """Text as a person sees it on a terminal: harmless, not endless, a sign where a line ends."""
    clean = " ⏎ ".join(line for part in text.splitlines() if (line := plain(part).strip()))
    more = len(clean) - _LONGEST
    return f"{clean[:_LONGEST]}… ({more:,} more characters)" if more > 0 else clean


# --------------------------------------------------------------------------------------------------- what it comes to


def _finish(app: App, run: Run, before: Compared, session: Session) -> None:
    """Write the report again, and say what the answers changed."""
    from jobs.lib.comparison.load import load
    from jobs.lib.comparison.pipeline import compare

    if not session.stored:
        click.echo("No vote was stored.")
        return
    after = compare(load(run.id))
    path = report.write_after_vote(app.home, run, after)
    stored = f"{counted(session.stored, 'vote')} stored, {after.document.votes.by_owner} in all"
    where = f"The report: {path}" if path else f"The report of {run.id} will count them"
    click.echo(f"{stored}. {_change(before, after)} {where}")


def _change(before: Compared, after: Compared) -> str:
    """How the ranking and the decision changed, as sentences."""
    old, new = _ranking(before), _ranking(after)
    sentences = f"{_best_guess(after)}{_preferences(after)}"
    if after.preferences and any(_preferred(after.preferences)) and old != new:
        earlier = f" (before: {', '.join(old)})" if old else ""
        sentences = f"By your votes: {', '.join(new)}{earlier}. {sentences}"
    if after.preferences and (agreed := _agreed(after.preferences.agreement)):
        sentences += f" {agreed}"
    first, then = (compared.decision.winner for compared in (before, after))
    if first != then:
        sentences += (
            f" The winner is now {plain(_name(after, then))}." if then else " The report no longer names a winner."
        )
    return sentences


def _best_guess(compared: Compared) -> str:
    """ "Best guess: Model A (about 7 in 10). "; "" where there is none."""
    from jobs.lib.comparison.counsel import in_ten

    verdict = compared.document.verdict
    guess = plain(_name(compared, verdict.pick)) if verdict.pick else ""
    return f"Best guess: {guess} ({in_ten(verdict.p_best)} that it is the best). " if guess else ""


def _preferred(preferences: Preferences) -> Iterator[tuple[str, str]]:
    """Pairs of models that were voted on, of which the first is nearly certainly preferred to the second."""
    pairs = itertools.permutations(preferences.ratings(), 2)
    return (pair for pair in pairs if preferences.is_preferred(*pair))


def _preferences(compared: Compared) -> str:
    """The preferences between models that are nearly certain, or that there are none yet."""
    pairs = _preferred(compared.preferences) if compared.preferences else ()
    certain = [f"{plain(_name(compared, key))} to {plain(_name(compared, other))}" for key, other in pairs]
    names = _ranking(compared)
    if not certain:
        return f"Your votes do not separate them yet: {', '.join(names)}."
    rest = len(certain) < len(names) * (len(names) - 1) // 2
    return f"You prefer {', '.join(certain)}{'; your votes separate no others yet' if rest else ''}."


def _ranking(compared: Compared) -> list[str]:
    """Names of the models that were voted on, the most preferred first."""
    return [plain(_name(compared, key)) for key in compared.document.votes.ratings]


def _name(compared: Compared, key: str) -> str:
    models = compared.document.models
    return models[key].name if key in models else key


def _standing(run: Run, compared: Compared, session: Session) -> str:
    votes = compared.document.votes
    bad = f', {votes.both_bad} of them "both bad"' if votes.both_bad else ""
    own, left = counted(votes.by_owner, "vote"), counted(session.remaining, "pair")
    lines = [f"{run.id}: {own} of yours{bad}, {left} left."]
    for place, (key, rating) in enumerate(votes.ratings.items(), start=1):
        won, of = compared.preferences.won(key) if compared.preferences else (0, 0)
        low, high = (100 * end for end in rating.preferred_ci)
        chance = f"preferred to another one in {100 * rating.preferred:.0f} of 100 ({low:.0f} to {high:.0f})"
        lines.append(f"  {place}. {plain(_name(compared, key))}: won {won} of {of}; {chance}")
    lines += [f"{_best_guess(compared)}{_preferences(compared)}"] if votes.ratings else []
    lines += [agreed] if compared.preferences and (agreed := _agreed(compared.preferences.agreement)) else []
    return "\n".join(lines)


def _as_json(run: Run, compared: Compared, session: Session) -> str:
    from jobs.lib.comparison.document import plain as as_plain

    names = {key: _name(compared, key) for key in compared.document.models}
    votes = as_plain(compared.document.votes)
    left = {"left": session.remaining, "answers_left": session.answers_left}
    ranking = {"run": run.id, "models": names, "votes": votes} | left
    return json.dumps(ranking)  # in ASCII: a model's name may hold characters that turn a terminal's text around


# ---------------------------------------------------------------------------------------------- deploy model
