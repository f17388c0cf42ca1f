"""What the report says first: the same in REPORT.md and report.html, and only what the verdict holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store.database import db
from jarvisd.store.models import Run
from jobs.lib.results.tables import OWNER, REAL_TURNS, Reply, Score, Vote
from jobs.report.formats import html_page
from jobs.report.gather import gather
from jobs.report.rows import pairs as pair_rows
from jobs.report.rows import sentences
from tests.integration.report_nights import MEASURED, SCENARIOS, START, home, mining, model, run
from tests.integration.report_pages import Tags, rendered
from tests.integration.two_round_nights import two_rounds


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return home(tmp_path)


def shares(values: Sequence[float]) -> Mapping[str, Sequence[float]]:
    """The quality of each scenario, the same at all its prompts."""
    return {name: [value] * len(SCENARIOS[name][1]) for name, value in zip(SCENARIOS, values, strict=True)}


def voted(row: Run, winner: str, loser: str, times: int) -> None:
    """Answers of the owner to different prompts, all for one."""
    by = {key: list(Reply.select().where(Reply.run == row, Reply.model == key)) for key in (winner, loser)}
    for left, right in list(zip(by[winner], by[loser], strict=True))[:times]:
        Vote.create(run=row, by=OWNER, left=left, right=right, choice="left", created_at=START)


def both_pages(row: Run, here: Home) -> tuple[str, str]:
    """REPORT.md without marks, and the text of report.html, each in one line."""
    folder, problems = rendered(row, here)
    assert problems == []
    text = unescape((folder / "REPORT.md").read_text().replace("**", ""))
    page = Tags((folder / "report.html").read_text()).text.replace("\u00a0", " ")
    return " ".join(text.split()), " ".join(page.split())


def apart(row: Run) -> None:
    """A is far better than B, and slower."""
    model(row, "a", "Model A", qualities=shares([0.9, 0.8, 0.9, 1.0, 0.9]), latency_ms=1500)
    model(row, "b", "Model B", qualities=shares([0.2, 0.1, 0.3, 0.2, 0.2]), latency_ms=900, reply="sure, see u")


def test_numbers_and_votes_that_contradict_each_other_are_no_tie(here: Home) -> None:
    """Headline, lead, deployment and figures on top name both sides; more votes or turns are not offered."""
    row = run()
    apart(row)
    voted(row, "b", "a", 12)
    text, page = both_pages(row, here)
    for shown in (text, page):
        assert "The numbers say Model A, your votes say Model B, so no winner" in shown
        assert "so no model is named. Keep the present one, or follow your votes: Model B." in shown
        assert (
            "Model: keep the present one, or follow your votes: Model B. The numbers say Model A, your votes" in shown
        )
        assert "12 of 12 decided votes against Model A, preferred to it with a chance of 0.9" in shown
        for wrong in (
            "do not separate",
            "What would settle it",
            "comes first",
            "fastest",
            "stays first",
            "settle a tie",
        ):
            assert wrong not in shown, wrong
    assert ("1.54 s / 0.94 s", "median reply of Model A / Model B") in html_page.tiles(gather(row.id, here))


def test_turns_and_scenarios_that_contradict_each_other_are_no_tie(here: Home) -> None:
    """Both measures together say one, the scenarios alone another; votes may decide, no number of turns does."""
    with db.atomic():
        row = two_rounds(votes=False)
        Score.delete().execute()
        Reply.update(quality=0.1).execute()
        on_turns = Reply.scenario_id == REAL_TURNS
        for reply in Reply.select().where(on_turns, Reply.success):
            Score.create(reply=reply, metric="own_turns", value=0.95 if reply.model == "qwen3-4b" else 0.1)
        for key, scenarios in (("qwen3-4b", 0.5), ("smollm3-3b", 0.9)):
            Reply.update(quality=scenarios).where(Reply.model == key, ~on_turns).execute()
    for shown in both_pages(row, here):
        sides = "Both measures together say Qwen3 4B, the scenarios alone SmolLM3 3B"
        assert f"{sides}, so no model is named. Keep the present one, or vote to decide between them." in shown
        assert "Qwen3 4B is worse than SmolLM3 3B (" in shown and "real turns say one, the scenarios the other" in shown
        assert "more turns" not in shown and "comes first" not in shown


def test_a_best_guess_is_named_everywhere_with_its_chance_and_what_would_decide(here: Home) -> None:
    """The model in use may be as good; the one that is far behind is not named on top."""
    row = run(plan={"report": {"present": "b"}})
    model(row, "a", "Model A", qualities=shares([0.9, 0.5, 0.9, 0.5, 0.6]), latency_ms=1000)
    model(row, "b", "Model B", qualities=shares([0.65, 0.7, 0.65, 0.65, 0.65]), latency_ms=950)
    model(row, "c", "Model C", qualities=shares([0.1, 0.0, 0.1, 0.1, 0.0]), latency_ms=100)
    for shown in both_pages(row, here):
        assert "Best guess: Model A" in shown and "in 10 that it is the best). If that is wrong you lose" in shown
        assert "Model: not decided yet; the best guess is Model A." in shown
        assert "answers of yours between it and Model B would probably decide: jarvisctl vote --between a b" in shown
    tiles = html_page.tiles(gather(row.id, here))
    assert ("1.04 s", "median reply of Model A") in tiles
    assert not any("Model C" in what for _, what in tiles)


STATISTICAL = ("p =", "p <", "Holm", "interval", "cluster", "cosine", "sign-flip", "log odds", "posterior")


def test_the_first_sentences_hold_no_statistical_term(here: Home) -> None:
    """They stand in the details."""
    row = run()
    apart(row)
    report = gather(row.id, here)
    lead = sentences.headline(report) + sentences.verdict(report)
    for term in STATISTICAL:
        assert term not in lead, term
    assert "p < 0.001 after Holm" in " ".join(pair_rows.details(report))


def test_the_first_screen_of_a_whole_night_is_plain(here: Home) -> None:
    """Templates, votes and a missed limit too: no term of statistics, and each figure says what it is of."""
    row = run(plan={"report": {"present": "b", "gates": {"memory_mb": 1000}}})
    deployed = {"what": "as deployed", "turns": 3819, "fired": 2, "right": 1}
    mining(row, stats=MEASURED | {"baselines": {"deployed": deployed}}, tiers=("suggest",) * 5)
    apart(row)
    voted(row, "b", "a", 12)
    report = gather(row.id, here)
    lead = sentences.headline(report) + sentences.verdict(report) + str(html_page.tiles(report))
    for term in (
        "p =",
        "p <",
        "Holm",
        "interval",
        "cluster",
        "cosine",
        "sign-flip",
        "log odds",
        "posterior",
        "held out",
    ):
        assert term not in lead, term
    assert (
        "Deployed as they are, the templates would have answered 2 of 3,819 incoming messages, 1 of them rightly"
        in lead
    )


def test_two_models_that_are_about_equally_good_give_one_answer(here: Home) -> None:
    """The faster one is to be taken, unless the other's replies are liked better."""
    row = run(plan={"report": {"present": "c"}})
    model(row, "a", "Model A", qualities=shares([0.9, 0.88, 0.9, 0.9, 0.9]), latency_ms=1900)
    model(row, "b", "Model B", qualities=shares([0.88, 0.9, 0.88, 0.9, 0.88]), latency_ms=1200)
    model(row, "c", "Model C", qualities=shares([0.3, 0.3, 0.4, 0.3, 0.3]), latency_ms=100)
    for shown in both_pages(row, here):
        assert "Model A and Model B are about equally good (0.01 apart)." in shown
        assert "Model B answers 0.7 s sooner: take it, unless you prefer the replies of Model A." in shown


def test_the_order_by_the_weights_of_the_plan_stands_in_the_appendix(here: Home) -> None:
    """The plan counts speed and memory too; the first sentences give one answer."""
    row = run()
    model(row, "a", "Model A", qualities=shares([0.9, 0.8, 0.9, 1.0, 0.9]), latency_ms=9000)
    model(row, "b", "Model B", qualities=shares([0.65, 0.7, 0.6, 0.65, 0.65]), latency_ms=300)
    report = gather(row.id, here)
    assert pair_rows.group_rows(report) == [["Model A", "a", "2."], ["Model B", "b", "1."]]
    for shown in both_pages(row, here):
        assert "Weights of the plan: quality 0.7, speed 0.2, memory 0.1." in shown
    assert "Model B" not in both_pages(row, here)[0].partition("Runner-up")[0]


def test_a_winner_first_by_the_weights_too_needs_no_such_sentence(here: Home) -> None:
    row = run()
    apart(row)
    text, page = both_pages(row, here)
    assert "Use Model A" in text and "would come first" not in text + page
    assert ("1.54 s", "median reply of Model A") in html_page.tiles(gather(row.id, here))


def test_one_model_alone_has_its_time_on_top(here: Home) -> None:
    """Nothing is compared; of several that all miss a gate none is shown."""
    row = run(plan={"report": {"gates": {"memory_mb": 1000}}})
    model(row, "only", "Only", latency_ms=800)
    assert any(what == "median reply of Only" for _, what in html_page.tiles(gather(row.id, here)))
    model(row, "other", "Other")
    assert not any("median reply" in what for _, what in html_page.tiles(gather(row.id, here)))


def test_votes_say_how_they_are_counted(here: Home) -> None:
    """Halves, what makes the chances, and how often the score agrees with the owner; no log odds."""
    row = run()
    apart(row)
    voted(row, "a", "b", 3)
    for shown in both_pages(row, here):
        assert "The chances come from your votes and from our score together" in shown
        assert "A tie counts half a win for each" in shown and "Our score agrees with your ear in 3 of 3." in shown
        assert "Chance that you prefer its reply to another's" in shown and "log odds" not in shown


@pytest.mark.parametrize("is_demo", [True, False])
def test_a_demonstration_is_marked_and_its_messages_are_not_called_yours(here: Home, is_demo: bool) -> None:
    row = run(plan={"demo": is_demo, "mine": {}})
    mining(row)
    for text in both_pages(row, here):
        assert ("Demo data: " in text) is is_demo
        assert ("of the demo's messages" in text) is is_demo
        assert ("of your messages" in text) is not is_demo
    assert ("demo data" in (here.run_folder(row.id) / "report.html").read_text()) is is_demo


def test_the_best_of_models_that_are_no_better_than_a_canned_reply_is_called_no_winner(here: Home) -> None:
    """Better than each other one, and still not to be used: headline, mark of the table and comparison with before."""
    row = run()
    model(row, "a", "Model A", qualities=shares([0.4, 0.5, 0.4, 0.5, 0.4]))
    model(row, "b", "Model B", qualities=shares([0.0, 0.1, 0.0, 0.1, 0.0]), reply="sure, see u")
    comparison = gather(row.id, here).comparison
    assert comparison and comparison.verdict.winner == "a"
    for text in both_pages(row, here):
        assert "Keep what you have" in text
        assert "best of these, but no better than a canned reply" in text
        assert "winner" not in text.replace("Pick the winner on how its replies sound", "")
    assert "No better than a canned reply: one text sent to everything does as well as the models" in text


def test_the_best_model_that_misses_a_limit_is_not_said_to_be_as_good_as_a_canned_reply(here: Home) -> None:
    row = run()
    model(row, "a", "Model A", qualities=shares([0.9, 1.0, 0.9, 1.0, 0.9]))
    model(row, "b", "Model B", qualities=shares([0.2, 0.3, 0.2, 0.3, 0.2]), reply="sure, see u")
    Reply.update(peak_memory_mb=7000).where(Reply.model == "a").execute()
    told = "Model A did best, but misses a limit of the plan; a canned reply to everything would have done as well as"
    for text in both_pages(row, here):
        assert f"{told} the others. Keep what you have." in text
