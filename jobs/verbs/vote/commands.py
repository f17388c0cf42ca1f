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
    from jobs.lib.comparison.votes import Ranking
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
    session = Session(chosen, fit, _shown, Challenger.of(before.decision.pairwise))
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

    click.echo(f"Which reply would you rather send? {_HINT}.{_may_decide(session)}")
    with answers() as ask:
        number = 0
        again: Comparison | None = None
        while (ballot := again or session.next()) is not None:
            again = None
            number += 1
            click.echo(_page(ballot, number))
            click.echo("> ", nl=False)
            while (answer := ask()).means == "unknown":
                click.echo(f"{_HINT}: ", nl=False)
            click.echo(plain(answer.typed))
            if answer.means == "quit":
                return
            if answer.means == "undo":
                again = session.undo()
                click.echo("Taken back." if again else "There is no answer of this session to take back.")
                number -= 1 + (again is not None)
                again = again or ballot
            elif answer.means == "skip":
                session.skip(ballot)
            elif not session.answer(ballot, answer.means):
                click.echo("This pair has an answer already, or its replies are gone.")


def _may_decide(session: Session) -> str:
    left = session.answers_left
    return f"\nAt best {counted(left, 'more answer')} can decide." if left else ""


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
    """How the ranking by votes and the decision changed, as sentences."""
    old, new = _ranking(before), _ranking(after)
    sentences = _preferences(after)
    if any(_preferred(after.votes)) and old != new:
        earlier = f" (before: {', '.join(old)})" if old else ""
        sentences = f"By your votes: {', '.join(new)}{earlier}. {sentences}"
    first, then = (compared.decision.winner for compared in (before, after))
    if first != then:
        sentences += (
            f" The winner is now {plain(_name(after, then))}." if then else " The report no longer names a winner."
        )
    return sentences


def _preferred(ranking: Ranking) -> Iterator[tuple[str, str]]:
    """Pairs of models of which the first is preferred to the second beyond chance."""
    players = ranking.ratings()
    return (pair for pair in itertools.permutations(players, 2) if ranking.prefers(*pair))


def _preferences(compared: Compared) -> str:
    """The significant preferences between models, or that there are none yet."""
    preferences = [
        f"{plain(_name(compared, one))} to {plain(_name(compared, other))}" for one, other in _preferred(compared.votes)
    ]
    names = _ranking(compared)
    if not preferences:
        return f"Your votes do not separate them yet: {', '.join(names)}."
    rest = len(preferences) < len(names) * (len(names) - 1) // 2
    return f"Beyond chance you prefer {', '.join(preferences)}{'; your votes separate no others yet' if rest else ''}."


def _ranking(compared: Compared) -> list[str]:
    """Names of the models that were voted on, the strongest first."""
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
        known = rating.low is not None and rating.high is not None
        ends = f" (95 % interval {rating.low:+.2f} to {rating.high:+.2f})" if known else ""
        strength = f"{rating.strength:+.2f} log odds{ends}"
        lines.append(f"  {place}. {plain(_name(compared, key))}: {strength}, {counted(rating.n, 'vote')}")
    lines += [_preferences(compared)] if votes.ratings else []
    return "\n".join(lines)


def _as_json(run: Run, compared: Compared, session: Session) -> str:
    from jobs.lib.comparison.document import plain as as_plain

    names = {key: _name(compared, key) for key in compared.document.models}
    votes = as_plain(compared.document.votes)
    ranking = {"run": run.id, "models": names, "votes": votes, "left": session.remaining}
    return json.dumps(ranking, ensure_ascii=False)


# ---------------------------------------------------------------------------------------------- deploy model
