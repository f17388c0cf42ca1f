"""`jarvisctl match`."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from jarvisd.cli.common import App, Whole
from jarvisd.plugin import UsageError
from jarvisd.words import plain

if TYPE_CHECKING:
    from jobs.lib.matching.answerer import Answerer, Reply
    from jobs.lib.matching.drafts import Draft
    from jobs.lib.matching.index import Match

_MOST_BYTES = 1 << 20  # of a text on standard input


@click.command("match")
@click.argument("text", required=False)
@click.option("--drafts", type=Whole(1, 10), help="How many drafts to show (1; 3 with --json).")
@click.option("--context", metavar="TEXT", help="Your own message before TEXT.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--serve", is_flag=True, help="Answer JSON lines on standard input until its end, for another program.")
@click.pass_obj
def match(app: App, text: str | None, drafts: int | None, context: str | None, as_json: bool, serve: bool) -> int:
    """Show which of your replies would answer TEXT, a message that comes in, and how likely each is.

    TEXT is read from standard input where it is `-`; several messages are one per line. The templates are those of the
    newest run that has some. Exit code 0 where a template would be sent: a trigger fires as in JARVIS, or your reviews
    certify drafts as likely as the first one. Exit code 1 where it is only a draft, or there is none.

    \b
    Example:
      jarvisctl match "are you free tomorrow?" --drafts 3
      jarvisctl match "and sunday?" --context "saturday is full"
      pbpaste | jarvisctl match - --json
      echo '{"text": "are you free?", "previous": "hi"}' | jarvisctl match --serve
    """
    began = time.perf_counter()
    if serve:
        if text is not None or drafts or context or as_json:
            raise UsageError("--serve takes its texts from standard input", "Leave out TEXT and the other options.")
        return _serve(app)
    incoming = _incoming(text)
    app.need_ledger()
    app.open_ledger()
    from jobs.lib.matching import triggers
    from jobs.lib.matching.answerer import Answerer

    mining = triggers.newest()
    answerer = Answerer.of(app.home, mining)
    if not answerer.can_answer:
        raise triggers.none_sendable(mining)
    ready = time.perf_counter()
    reply = answerer.answer(incoming, context, drafts or (3 if as_json else 1))
    answer = _answer(incoming, reply, ready - began + answerer.loading_s, answerer)
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else _words(str(mining.run_id), reply, answer))
    return 0 if reply.fires else 1


def _serve(app: App) -> int:
    """Answer JSON lines until the end of standard input; the model is loaded before the first."""
    from jobs.lib.matching import triggers
    from jobs.lib.matching.answerer import Answerer
    from jobs.verbs.match_serve import serve

    app.need_ledger()
    app.open_ledger()
    mining = triggers.newest()
    answerer = Answerer.of(app.home, mining)
    if not answerer.can_answer:
        raise triggers.none_sendable(mining)
    answerer.warm()

    def answer(text: str, previous: str | None, drafts: int) -> dict[str, Any]:
        document = _answer(text, answerer.answer(text, previous, drafts), 0.0, answerer)
        return {name: value for name, value in document.items() if name not in ("text", "cold_ms")}

    serve(answer, sys.stdin.buffer, sys.stdout.buffer)
    return 0


def _incoming(text: str | None) -> str:
    if text is None:
        raise UsageError("Missing argument 'TEXT'.", 'Give it in quotes: jarvisctl match "see you soon".')
    if text == "-":
        text = sys.stdin.buffer.read(_MOST_BYTES).decode("utf-8", "replace")
    valid = text.encode("utf-8", "replace").decode("utf-8")  # a shell may pass bytes that are not valid UTF-8
    if not valid.strip():
        raise UsageError("there is no text to match", 'Give it in quotes: jarvisctl match "see you soon".')
    return valid


def _answer(text: str, reply: Reply, cold_s: float, answerer: Answerer) -> dict[str, Any]:
    """The document of --json. What fires comes before the ranker's first draft; `measured` belongs to the chances."""
    nearest = reply.match.trigger if reply.match else None
    sent = nearest if reply.by_trigger else None
    first = reply.drafts[0] if reply.drafts else None
    chances = {draft.template: draft.probability for draft in reply.drafts}
    return {
        "text": text,
        "fires": reply.fires,
        "reply": sent.reply if sent else first.reply if first else None,
        "template": sent.template if sent else first.template if first else None,
        "tier": sent.tier if sent else first.tier if first else None,
        "probability": _rounded(chances.get(sent.template) if sent else first.probability if first else None),
        "level": first.level if first else None,
        "drafts": [
            {
                "reply": draft.reply,
                "probability": _rounded(draft.probability),
                "template": draft.template,
                "tier": draft.tier,
                "level": draft.level,
            }
            for draft in reply.drafts
        ],
        "similarity": round(reply.match.similarity, 4) if reply.match else None,
        "how": reply.match.how if reply.match else None,
        "ms": round(reply.ms, 3),
        "cold_ms": round(cold_s * 1000, 1),
        "nearest": nearest.shown if nearest else None,
        "threshold": nearest.threshold if nearest else None,
        "about": reply.about,
        "measured": _measured(answerer, first),
    }


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 4)


def _measured(answerer: Answerer, first: Draft | None) -> dict[str, Any] | None:
    """How often first drafts about as likely were right on later messages; None where that was not measured."""
    figures = answerer.matcher.figures if answerer.matcher else {}
    if first is None or not figures.get("bins"):
        return None
    row = [row for row in figures["bins"] if row["from"] <= first.probability][-1]
    return {"turns": figures["turns"], "origins": figures["origins"], **row}


def _words(run_id: str, reply: Reply, answer: dict[str, Any]) -> str:
    if reply.about is not None:
        return f"No template answers a text like this one: {reply.about}."
    if reply.by_trigger and reply.match:
        return "\n".join([*_fired(reply.match, answer), *_others(reply, answer)])
    if reply.drafts:
        return "\n".join([*_drafted(reply.drafts[0], answer), *_others(reply, answer)])
    assert reply.match is not None  # noqa: S101  # a run with neither is refused before
    nearest = reply.match.trigger
    return (
        f'No template of {run_id} fires: the nearest trigger is "{plain(nearest.shown)}" with a '
        f"similarity of {reply.match.similarity:.2f}, and {nearest.threshold:.2f} is needed."
    )


def _fired(match: Match, answer: dict[str, Any]) -> list[str]:
    how = {
        "exact": "the same words as",
        "fast": f"similarity {match.similarity:.2f} in spelling to",
        "encoder": f"similarity {match.similarity:.2f} to",
    }[match.how]
    return [
        plain(match.trigger.reply),
        f'  {match.trigger.tier}, {how} "{plain(match.trigger.shown)}", {_time(answer)}, '
        f"template {match.trigger.template}",
    ]


def _drafted(first: Draft, answer: dict[str, Any]) -> list[str]:
    word = "would send" if first.would_send else "draft"
    lines = [
        plain(first.reply),
        f"  {word}, {_percent(first.probability)} likely, tier {first.tier}, {_time(answer)}, "
        f"template {first.template}",
    ]
    if measured := answer["measured"]:
        share = "none" if measured["right_n"] == 0 else _percent(measured["right"])
        lines.append(
            f"  measured on {measured['turns']:,} later messages: first drafts of {_percent(measured['from'])} to "
            f"{_percent(measured['to'])} were your real reply in {share} (n = {measured['right_n']:,})"
        )
    return lines


def _others(reply: Reply, answer: dict[str, Any]) -> list[str]:
    """The other drafts, one per line."""
    others = [draft for draft in reply.drafts if draft.template != answer["template"]]
    return [f"  or: {plain(draft.reply)} ({_percent(draft.probability)})" for draft in others]


def _time(answer: dict[str, Any]) -> str:
    return f"{answer['ms']:.1f} ms after a start of {answer['cold_ms']:.0f} ms"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"
