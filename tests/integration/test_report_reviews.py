"""The part of the report about templates: first what could be answered and what to review, last the coverage."""

from __future__ import annotations

import re

import pytest

from jarvisd.paths import Home
from jobs.lib.results.tables import Answer, Verdict
from jobs.lib.reviews import cards, verdicts
from jobs.lib.reviews.session import CardSession
from jobs.report.formats import html_page, markdown
from jobs.report.gather import gather
from tests import review_rows


def page(home: Home, run: str) -> tuple[str, str]:
    """The section in Markdown, and the whole page."""
    report = gather(run, home)
    return markdown.templates(report), html_page.compose(report, ())


def review(run: object, share: float) -> None:
    session = CardSession(run)  # type: ignore[arg-type]
    while (card := session.next()) is not None:
        good = session.deck.answered % 100 < 100 * share
        session.answer(card, Answer.SEND if good else Answer.NOT)


def test_without_reviews_it_says_what_to_do(home: Home) -> None:
    made = review_rows.mining(2000, total_messages=300)
    text, html = page(home, str(made.run_id))
    assert "Of 2,000 later messages none would be answered by itself: you have not said yet" in text
    assert "`jarvisctl review` asks about 100 of 100 drafts" in text
    assert "`jarvisctl review --templates` keeps or rejects 5 templates" in text
    assert "Would send" not in text
    assert "What could be answered" in text
    assert "none would be answered by itself" in html


def test_after_reviews_it_says_how_acceptable_the_drafts_are(home: Home) -> None:
    made = review_rows.mining(2000, total_messages=300)
    review(made, 1)
    verdicts.decide(review_rows.template_uuid(1), "haha", Verdict.KEPT)
    text, html = page(home, str(made.run_id))
    assert re.search(
        r"Of 2,000 later messages \d+ \(\d+\.\d %\) would have been answered by itself: at least \d+ %", text
    )
    assert "| Most confident | Messages | Would send | At least | Literally your reply |" in text
    assert "50 of 50" in text
    assert "50 of 50" in html
    assert "keeps or rejects 4 templates" in text
    assert "asks about" not in text


def test_bad_drafts_certify_nothing_and_it_says_so(home: Home) -> None:
    made = review_rows.mining(2000, total_messages=300)
    review(made, 0.3)
    text, _ = page(home, str(made.run_id))
    assert "your answers certify no level for that yet" in text
    assert "No draft may answer by itself yet: for that the lower end must reach 80 %" in text


@pytest.mark.parametrize("replies", [(), ("haha",)])
def test_a_person_with_few_repeats_is_told_why_little_can_be_answered(home: Home, replies: tuple[str, ...]) -> None:
    made = review_rows.mining(60, replies, drafts=False, total_messages=900)
    text, html = page(home, str(made.run_id))
    assert "Little can be answered:" in text
    assert "Little can be answered:" in html


def test_the_coverage_stands_last_and_folded(home: Home) -> None:
    made = review_rows.mining(200, total_messages=300, coverage=0.05, coverage_baseline=0.062)
    text, html = page(home, str(made.run_id))
    assert text.index("What could be answered") < text.index("Coverage, by each definition")
    for row in ("Held out", "Literally a template", "Old definition", "Old baseline"):
        assert text.index(f"| {row}") > text.index("Coverage, by each definition")
    section = html.partition("<h2>Templates</h2>")[2]
    assert section.index("<summary>Coverage, by each definition</summary>") < section.index("Old baseline")


def test_a_run_of_an_earlier_version_has_no_drafts_to_review(home: Home) -> None:
    made = review_rows.mining(0, total_messages=300)
    text, _ = page(home, str(made.run_id))
    assert "This run has no drafts on later messages" in text
    assert cards.deck(made).turns == 0
