"""Reviews in a real database: what they change in templates.json, in drafts, and in a later night."""

from __future__ import annotations

import random

import pytest

from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Run
from jobs.lib.matching import levels as matching_levels
from jobs.lib.results.tables import Answer, DraftReview, HeldOutDraft, Mining, Verdict
from jobs.lib.reviews import cards, document, verdicts
from jobs.lib.reviews.session import CardSession, TemplateSession
from tests import review_rows


def answer_all(mining: Mining, *, below: float = 0.0, order: int | None = None) -> None:
    """Answer every card that is asked about: would send from a probability of `below` on."""
    deck = cards.deck(mining)
    asked = [card for band in deck.bands for card in band.cards[: band.wanted]]
    if order is not None:
        random.Random(order).shuffle(asked)
    session = CardSession(mining)
    for card in asked:
        assert session.answer(card, Answer.SEND if card.probability >= below else Answer.NOT)


def test_without_a_review_the_partsays_so(home: Home) -> None:
    made = review_rows.mining(300)
    part = document.of_run(str(made.run_id))
    assert part is not None
    assert (part["turns"], part["fired"], part["right"], part["reviewed"]) == (300, 0, 0, 0)
    assert all(level["confidence"] is None and level["n"] is None for level in part["levels"])
    assert document.of_run(str(review_rows.mining(0).run_id)) is None
    assert document.of_run("no such run") is None


def test_the_partgives_each_level_its_share_and_what_was_acceptable(home: Home) -> None:
    made = review_rows.mining(2000)
    edge = cards.deck(made).bands[1].confidence
    answer_all(made, below=edge)
    part = document.of_run(str(made.run_id))
    assert part is not None
    automatic = part["levels"][0]
    assert automatic["confidence"] == edge
    assert automatic["acceptable"] == 1
    assert automatic["acceptable_low"] >= 0.8
    assert part["fired"] == automatic["turns"]
    assert automatic["share"] == pytest.approx(0.05, abs=0.002)
    assert matching_levels.certified(made).automatic == edge


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_order_of_the_answers_does_not_matter(home: Home, order: int) -> None:
    made = review_rows.mining(2000)
    edge = cards.deck(made).bands[0].confidence
    answer_all(made, below=edge)
    first = document.of_run(str(made.run_id))
    DraftReview.delete().execute()
    answer_all(made, below=edge, order=order)
    assert document.of_run(str(made.run_id)) == first


def test_a_later_night_counts_the_answers_to_the_same_drafts_and_asks_about_the_others(home: Home) -> None:
    """The run that asked is pruned; its answers stay, and hold where the next ranker drafts the same text."""
    answer_all(review_rows.mining(2000))
    Run.delete().execute()
    assert HeldOutDraft.select().count() == 0
    same = review_rows.mining(2000)
    assert cards.deck(same).answered == 100
    other = review_rows.mining(2000, seed=2)
    assert 0 < cards.deck(other).answered < 100
    assert CardSession(other).next() is not None


def test_an_answer_is_stored_once(home: Home) -> None:
    made = review_rows.mining(100)
    one, two = CardSession(made), CardSession(made)
    card = one.next()
    assert card is not None
    assert card == two.next()
    assert one.answer(card, Answer.SEND)
    assert not two.answer(card, Answer.NOT)
    assert two.next() != card
    assert DraftReview.get().answer == Answer.SEND


def test_undo_of_an_edit_puts_the_earlier_verdict_back(home: Home) -> None:
    made = review_rows.mining(100)
    session = CardSession(made)
    card = session.next()
    assert card is not None
    verdicts.decide(card.template, card.reply, Verdict.KEPT)
    session.answer(card, Answer.EDIT, "other words")
    again = session.next()
    assert again is not None
    assert "other words" in {one.reply for band in session.deck.bands for one in band.cards}
    assert session.undo() == card
    assert verdicts.verdicts()[card.template].verdict == Verdict.KEPT
    assert DraftReview.select().count() == 0
    assert session.undo() is None


def test_a_rejected_template_is_on_no_card(home: Home) -> None:
    made = review_rows.mining(100)
    for number in range(1, 6):
        verdicts.decide(review_rows.template_uuid(number), "x", Verdict.REJECTED)
    deck = cards.deck(made)
    assert deck.turns == 100
    assert deck.bands == ()
    assert CardSession(made).next() is None


def test_templates_are_shown_with_real_uses_and_once(home: Home) -> None:
    made = review_rows.mining(100)
    HeldOutDraft.update(answer="Haha!").where(HeldOutDraft.place < 5).execute()
    session = TemplateSession(made)
    card = session.next()
    assert card is not None
    assert card.reply == "haha"
    assert [use.reply for use in card.real] == ["Haha!"] * 3
    assert card.real[0].incoming.startswith("incoming number 4")
    session.decide(card, Verdict.KEPT)
    assert (session.left, session.total) == (4, 5)
    following = session.next()
    assert following is not None
    assert following.template != card.template
    assert session.undo() == card
    assert session.left == 5
    session.skip(card)
    assert session.next() == following


def test_kept_templates_have_the_owners_words_and_outlast_the_run(home: Home) -> None:
    review_rows.mining(10)
    verdicts.decide(review_rows.template_uuid(1), "haha", Verdict.EDITED, "hahaha!")
    verdicts.decide(review_rows.template_uuid(2), "On my way", Verdict.KEPT)
    verdicts.decide(review_rows.template_uuid(3), "Sounds good", Verdict.REJECTED)
    kept = verdicts.kept()
    assert [(one.reply, one.uses) for one in kept] == [("hahaha!", 19), ("On my way", 18)]
    assert kept[0].triggers == ("what leads to haha?",)
    with database.write():
        Run.delete().execute()
    assert [(one.reply, one.triggers) for one in verdicts.kept()] == [("On my way", ()), ("hahaha!", ())]


def test_a_rejected_first_draft_leaves_room_for_the_next_turns(home: Home) -> None:
    """The cards are the most confident drafts of what is left, as many as before."""
    made = review_rows.mining(2000)
    before = cards.deck(made)
    verdicts.decide(review_rows.template_uuid(1), "haha", Verdict.REJECTED)
    after = cards.deck(made)
    assert after.wanted == before.wanted == 100
    assert after.turns == 2000
    assert [len(band.cards) for band in after.bands] == [len(band.cards) for band in before.bands]
    assert "haha" not in {card.reply for band in after.bands for card in band.cards}
    assert after.bands[-1].confidence < before.bands[-1].confidence
