"""`jarvisctl vote`."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App
from jarvisd.operations import report
from jarvisd.words import counted, plain

if TYPE_CHECKING:
    from jobs.verbs.vote.keys import Answer, Ask
    from jobs.verbs.vote.opening import Opened
    from jobs.verbs.vote.session import Comparison, Session

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
    from jobs.verbs.vote import opening, runs

    app.need_ledger()
    app.open_ledger()
    opened = opening.opened(runs.run_to_vote_on(run), between or ())
    chosen, session = opened.run, opened.session
    if as_json:
        click.echo(_as_json(opened))
    elif stats and opened.before.document.votes.by_owner:
        click.echo(_standing(opened))
    elif not session.remaining:
        click.echo(opened.why_nothing)
    elif stats:
        left = counted(session.remaining, "pair")
        click.echo(f"{chosen.id}: no votes yet, {left} to compare. `jarvisctl vote {chosen.id}` begins.")
    else:
        return _asked(app, opened)
    return 0


# ------------------------------------------------------------------------------------------------------- a session


def _asked(app: App, opened: Opened) -> int:
    """A session from its first pair to the report; exit code 130 where Ctrl-C ended it."""
    code = 0
    try:
        _ask_all(opened.session)
    except KeyboardInterrupt:
        click.echo()
        code = 130
    _finish(app, opened)
    return code


def _ask_all(session: Session) -> None:
    """Show ballots and store answers until there are none, or the owner has enough."""
    from jobs.verbs.vote import words
    from jobs.verbs.vote.keys import answers

    click.echo("\n".join(filter(None, [f"Which reply would you rather send? {_HINT}.", words.before(session)])))
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
    from jobs.verbs.vote import words

    if not session.answer(ballot, choice):
        click.echo(words.NOT_STORED)
    elif sentence := words.after_answer(session, "press q"):
        click.echo(sentence)


def _page(ballot: Comparison, number: int) -> str:
    from jobs.verbs.vote.words import shown

    parts = [f"\n{number}.", _wrapped("     ", shown(ballot.context))]
    if ballot.instruction:
        parts.append(_wrapped("     ", f"({shown(ballot.instruction)})"))
    return "\n".join([*parts, "", _wrapped("  1  ", ballot.left.text), "", _wrapped("  2  ", ballot.right.text), ""])


def _wrapped(start: str, text: str) -> str:
    width = max(20, min(shutil.get_terminal_size().columns, _WIDEST))
    return textwrap.fill(text, width, initial_indent=start, subsequent_indent=" " * len(start))


# --------------------------------------------------------------------------------------------------- what it comes to


def _finish(app: App, opened: Opened) -> None:
    """Write the report again, and say what the answers changed."""
    from jobs.verbs.vote import words

    run, session = opened.run, opened.session
    if not session.stored:
        click.echo("No vote was stored.")
        return
    after = opened.now()
    path = report.write_after_vote(app.home, run, after)
    stored = f"{counted(session.stored, 'vote')} stored, {after.document.votes.by_owner} in all"
    where = f"The report: {path}" if path else f"The report of {run.id} will count them"
    click.echo(f"{stored}. {words.change(opened.before, after)} {where}")


def _standing(opened: Opened) -> str:
    from jobs.verbs.vote import words

    run, compared = opened.run, opened.before
    votes = compared.document.votes
    bad = f', {votes.both_bad} of them "both bad"' if votes.both_bad else ""
    own, left = counted(votes.by_owner, "vote"), counted(opened.session.remaining, "pair")
    lines = [f"{run.id}: {own} of yours{bad}, {left} left."]
    lines += [f"  {place}. {line}" for place, line in enumerate(words.standing(compared), start=1)]
    lines += [f"{words.best_guess(compared)}{words.preferences(compared)}"] if votes.ratings else []
    lines += [agreed] if compared.preferences and (agreed := words.agreed(compared.preferences.agreement)) else []
    return "\n".join(lines)


def _as_json(opened: Opened) -> str:
    from jobs.lib.comparison.document import plain as as_plain
    from jobs.verbs.vote import words

    document, session = opened.before.document, opened.session
    names = {key: words.name(opened.before, key) for key in document.models}
    left = {"left": session.remaining, "answers_left": session.answers_left}
    ranking = {"run": opened.run.id, "models": names, "votes": as_plain(document.votes)} | left
    return json.dumps(ranking)  # in ASCII: a model's name may hold characters that turn a terminal's text around
