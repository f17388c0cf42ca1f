"""What a review shows: cards, templates, and what the answers say so far."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Iterable

from jarvisd.words import counted, plain
from jobs.lib.matching import safety
from jobs.lib.reviews import levels, presorted
from jobs.lib.reviews.cards import Card, Deck
from jobs.lib.reviews.levels import LEAST, Known, Level
from jobs.lib.reviews.session import CardSession, TemplateCard, TemplateSession, Use

_WIDEST = 100  # columns
_LONGEST = 600  # characters of a text that are shown
MOST_CHARACTERS = 300  #: of a template's text
#: After so many answers it is said what is known.
LOOKS = (30, 60, 100)
#: What drafts of a level may do: one of them, and all.
_MEANS = {"automatic": ("answer by itself", "answer by themselves"), "suggest": ("be suggested", "be suggested")}


def card_page(session: CardSession, card: Card) -> str:
    """The message that came in with what the owner had written before it, and the draft; the real answer is folded."""
    deck = session.deck
    number = deck.answered + 1
    band = next(band for band in deck.bands if any(other.turn == card.turn for other in band.cards))
    head = f"\n{number} of {deck.wanted}, most confident {percent(band.share)}"
    lines = [_block("you", card.previous)] if card.previous else []
    lines += [_block("them" if not place else "", text) for place, text in enumerate(card.incoming.splitlines())]
    return "\n".join([head, "", *lines, "", _block("draft", card.reply), ""])


def real_answer(card: Card) -> str:
    return _block("you", card.real_reply) if card.real_reply else "  You did not answer."


def template_page(session: TemplateSession, card: TemplateCard) -> str:
    """A template with real uses of it."""
    head = f"\n{session.total - session.left + 1} of {session.total}: {counted(card.uses, 'use')}, {card.people} people"
    lines = [head, "", _block("reply", card.reply), ""]
    for use in card.real:
        lines += [*_use(use), ""]
    if card.led:
        lines += [_block("them", text) for text in card.led] + [""]
    if card.wrong:
        lines += ["  It would also have been the draft here, where you wrote something else:", ""]
        lines += [line for use in card.wrong for line in [*_use(use), ""]]
    if not card.real and not card.led:
        lines += ["  No message of the newest part led to it.", ""]
    return "\n".join(lines)


def _use(use: Use) -> list[str]:
    before = [_block("you", use.previous)] if use.previous else []
    return [*before, _block("them", " ⏎ ".join(use.incoming.splitlines())), _block("you", use.reply)]


def _block(who: str, text: str | None) -> str:
    width = max(30, min(shutil.get_terminal_size().columns, _WIDEST))
    start = f"  {who:<7}"
    return textwrap.fill(shown(text or ""), width, initial_indent=start, subsequent_indent=" " * len(start)) or start


def shown(text: str) -> str:
    """Text as a person sees it on a terminal: harmless, on one line, not endless."""
    clean = " ⏎ ".join(line for part in text.splitlines() if (line := plain(part).strip()))
    return f"{clean[:_LONGEST]}… ({len(clean) - _LONGEST:,} more characters)" if len(clean) > _LONGEST else clean


def quoted(text: str) -> str:
    return f"“{shown(text)}”"


def wording(typed: str, reply: str) -> tuple[str | None, str]:
    """The owner's wording of a reply; else None, and why nothing was changed."""
    text = " ".join(plain(typed).split())[:MOST_CHARACTERS]
    if not text or text == reply:
        return None, "Nothing was changed."
    if (reason := safety.reason(text)) is not None:
        return None, f"That cannot be a template ({reason}). Nothing was changed."
    return text, ""


# ------------------------------------------------------------------------------------------------- what is known


def known(deck: Deck) -> list[str]:
    """What the answers say of each band, and which levels they certify."""
    rows = [row for row in levels.known(deck) if row.n]
    lines = [f"{deck.run}: {deck.answered} of {deck.wanted} cards answered."]
    lines += [f"  {sentence(row)}" for row in rows]
    lines += [_certified(level) for level in levels.levels(deck)]
    agreed = presorted.agreement(deck.readings, deck.answers)
    return lines + ([plain(agreed.sentence)] if agreed else [])


def sentence(row: Known) -> str:
    """would send 41 of 50 in the most confident 2 %: at least 68 %"""
    return (
        f"would send {row.sent} of {row.n} in the most confident {percent(row.share)}: "
        f"at least {math.floor(100 * row.low)} %"
    )


def _certified(level: Level) -> str:
    goal = f"{100 * level.target:.0f} %"
    single, many = _MEANS[level.name]
    if level.known is None:
        needed = f"the lower end must reach {goal}, with at least {LEAST} answers"
        return f"No draft may {single} yet: for that {needed}."
    part = f"the most confident {percent(level.known.share)}"
    return (
        f"From a probability of {level.known.confidence:.3f} on ({part}) drafts may {many}: "
        f"at least {goal} are as you would send them."
    )


def percent(share: float) -> str:
    """2 %, 0.6 %"""
    value = 100 * share
    return f"{value:.0f} %" if value >= 1.95 else f"{value:.1f} %"


def nothing_left(session: CardSession) -> Iterable[str]:
    """Why there is no card."""
    deck = session.deck
    if deck.answered:
        return ["Every card has your answer.", *known(deck)]
    if not deck.bands:
        return [
            f"{deck.run} has {counted(deck.turns, 'held-out turn')} and drafts on none of them: too few of your "
            "replies repeat, or what came in is about things that no template answers."
        ]
    return [f"{deck.run} has no card that was not skipped."]
