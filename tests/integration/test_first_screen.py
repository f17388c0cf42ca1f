"""The first screen of a report: what to do, why, with which command, and where the models differ."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Run, Status
from jobs.lib.comparison.action import Action
from jobs.lib.results.tables import Reply
from jobs.report.first_screen import cards as first_cards
from jobs.report.first_screen import compose
from jobs.report.first_screen.compose import first_screen
from jobs.report.first_screen.data import Card, Command, FirstScreen, Point, Tone
from jobs.report.formats import html_page
from jobs.report.gather import gather
from tests.integration.report_nights import SCENARIOS, home, job, mining, model, run
from tests.integration.report_pages import Tags, rendered


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return home(tmp_path)


def shares(values: Sequence[float]) -> dict[str, list[float]]:
    """The quality of each scenario, the same at all its prompts."""
    return {name: [value] * len(SCENARIOS[name][1]) for name, value in zip(SCENARIOS, values, strict=True)}


def two_models(row: Run, *, present_is_worse: bool = True) -> None:
    """Model A, far better than the present Model B; or the other way round."""
    good, bad = shares([0.9, 0.8, 0.9, 1.0, 0.9]), shares([0.2, 0.1, 0.3, 0.2, 0.2])
    model(row, "a", "Model A", qualities=good if present_is_worse else bad, latency_ms=1500)
    model(row, "b", "Model B", qualities=bad if present_is_worse else good, latency_ms=900, reply="sure, see u")


def screen_of(row: Run, here: Home) -> FirstScreen:
    return first_screen(gather(row.id, here))


def card_of(screen: FirstScreen, topic: str) -> Card:
    return next(card for card in screen.cards if card.topic == topic)


def test_a_better_model_is_a_green_card_with_the_command_that_deploys_it(here: Home) -> None:
    row = run(plan={"report": {"present": "b"}})
    two_models(row)
    card = card_of(screen_of(row, here), "Model")
    assert (card.tone, card.heading) == (Tone.ACT, "Switch to Model A")
    assert card.commands[0].text == f"jarvisctl deploy model a --run {row.id}"
    points = [f"{point.strong} {point.text}" for point in card.points]
    assert points[0] == "Better checks on 13 of 13 prompts than your present Model B, worse on 0"
    assert points[1] == "Slower: 1.5 s instead of 0.9 s · takes 2.1 of 8 GB"
    assert points[2].startswith("How sure: ")
    assert "Runner-up" in card.why or "In use" in card.why


def test_times_that_are_shown_alike_are_called_alike(here: Home) -> None:
    row = run(plan={"report": {"present": "b"}})
    model(row, "a", "Model A", qualities=shares([0.9] * 5), latency_ms=910)
    model(row, "b", "Model B", qualities=shares([0.2] * 5), latency_ms=900, reply="sure, see u")
    points = card_of(screen_of(row, here), "Model").points
    assert [point.text.split(" · ")[0] for point in points if point.strong == "As fast:"] == ["0.9 s"]


def test_a_present_model_that_is_better_is_kept_and_nothing_is_to_be_deployed(here: Home) -> None:
    row = run(plan={"report": {"present": "b"}})
    two_models(row, present_is_worse=False)
    card = card_of(screen_of(row, here), "Model")
    assert (card.tone, card.heading) == (Tone.WAIT, "Keep Model B")
    assert not any("deploy" in command.text for command in card.commands)


def test_where_no_model_is_recommended_the_card_says_so(here: Home) -> None:
    row = run(plan={"report": {"present": "b"}})
    model(row, "a", "Model A", qualities=shares([0.3, 0.3, 0.3, 0.3, 0.3]), latency_ms=1500)
    model(row, "b", "Model B", qualities=shares([0.1, 0.1, 0.1, 0.1, 0.1]), latency_ms=900, reply="sure, see u")
    card = card_of(screen_of(row, here), "Model")
    assert (card.tone, card.heading) == (Tone.WAIT, "Keep what you have")
    assert [point.strong for point in card.points] == ["No better than a canned reply:"]


def test_a_card_that_keeps_a_model_names_the_one_that_it_compares(here: Home) -> None:
    """The heading names another one, so that "better" would be said of that."""
    row = run(plan={"report": {"present": "b"}})
    model(row, "a", "Model A", qualities=shares([0.9, 0.5, 0.9, 0.5, 0.62]), latency_ms=1500)
    model(row, "b", "Model B", qualities=shares([0.68, 0.68, 0.68, 0.68, 0.68]), latency_ms=900, reply="sure, see u")
    report = gather(row.id, here)
    assert report.comparison is not None
    verdict = dataclasses.replace(report.comparison.verdict, action=Action.KEEP, recommended=True, pick="a", rival="b")
    kept = dataclasses.replace(report, comparison=dataclasses.replace(report.comparison, verdict=verdict))
    card = first_cards.cards(kept)[0]
    assert card.heading == "Keep Model B"
    assert card.points[0].strong == "Model A has better checks on 6 of 13 prompts"
    assert "that Model A is the best" in card.points[-1].text


def test_templates_wait_for_a_review(here: Home) -> None:
    row = run()
    mining(row)
    card = card_of(screen_of(row, here), "Templates")
    assert (card.tone, card.heading) == (Tone.WAIT, "Deploy none yet")
    assert [command.text for command in card.commands] == [f"jarvisctl review {row.id} --templates"]


def test_kept_templates_are_to_be_deployed(here: Home) -> None:
    from jobs.lib.results.tables import Verdict
    from jobs.lib.reviews import verdicts

    row = run()
    mining(row)
    verdicts.decide(f"{row.number:08d}-0000-4000-8000-{1:012d}", "Bro 😭", Verdict.KEPT)
    card = card_of(screen_of(row, here), "Templates")
    assert (card.tone, card.heading) == (Tone.ACT, "Deploy the 1 that you kept")
    assert card.commands[0].text == "jarvisctl deploy templates"


MODELS = ("qwen2.5-1.5b", "smollm3-3b", "qwen3-4b")


def a_failed_night() -> Run:
    row = run()
    job(row, "mine", Status.FAILED, "there is no Messages database")
    for key in MODELS:
        reason = f"{key} is not on this disk (org/{key}). Fetch it with: jarvisctl models fetch {key}"
        job(row, f"evaluate:{key}", Status.FAILED, reason)
    job(row, "report")
    return row


def test_a_failed_night_is_red_and_one_command_mends_what_can_be_downloaded(here: Home) -> None:
    """Jobs with one cause stand together, in the card, in REPORT.md and in the JSON; no job has a line of its own."""
    row = a_failed_night()
    [card] = screen_of(row, here).cards
    assert (card.tone, card.heading) == (Tone.FAILED, "4 of 4 jobs failed")
    mend = f"jarvisctl models fetch --only overnight && jarvisctl retry {row.id}"
    assert [command.text for command in card.commands] == [mend]
    assert [point.strong for point in card.points] == ["mine failed:", "3 jobs failed:"]
    assert card.points[1].text.startswith("3 models are not on this disk (evaluate:qwen2.5-1.5b, ")
    folder, _ = rendered(row, here)
    text = (folder / "REPORT.md").read_text()
    assert text.count(f"`{mend}`") == 2 and "downloads what is missing and runs the 4 jobs that did not succeed" in text
    assert "`jarvisctl retry 2`" not in text
    document = gather(row.id, here).as_json()
    assert document["mend"] == mend
    assert [cause["downloads"] for cause in document["causes"]] == [[], list(MODELS)]


def test_one_job_is_run_again_by_its_number(here: Home) -> None:
    row = run()
    job(row, "command:a")
    failed = job(row, "command:b", Status.FAILED, "exit status 1")
    screen = screen_of(row, here)
    [card] = screen.cards
    assert card.commands[0].text == f"jarvisctl retry {failed.id}" and not screen.all_succeeded


def test_a_run_of_programs_alone_says_how_many_succeeded(here: Home) -> None:
    row = run()
    job(row, "command:a")
    [card] = screen_of(row, here).cards
    assert (card.tone, card.heading) == (Tone.ACT, "1 of 1 jobs succeeded")


def test_the_ranking_marks_the_present_model_and_says_how_far_the_others_are_behind(here: Home) -> None:
    row = run(plan={"report": {"present": "b", "weights": {"quality": 0.5, "speed": 0.5, "memory": 0}}})
    two_models(row)
    screen = screen_of(row, here)
    assert [(one.name, one.is_present) for one in screen.ranking] == [("Model A", False), ("Model B", True)]
    assert screen.ranking[1].against_first.endswith(" points behind")
    assert screen.weights == {"quality": 50, "speed": 50, "memory": 0} and screen.can_be_weighed
    assert screen.ranking[1].parts["speed"] == 1.0 and screen.ranking[0].parts["speed"] < 0.7


def test_prompts_where_the_models_lie_apart_come_first_and_each_failed_check_is_named(here: Home) -> None:
    """In the page, in REPORT.md and in replies.csv."""
    row = run()
    model(row, "a", "Model A", qualities=shares([0.5, 0.5, 0.5, 0.5, 0.9]))
    model(row, "b", "Model B", qualities=shares([0.5, 0.5, 0.5, 0.5, 0.1]), reply="sure, see u")
    late = (Reply.scenario_id == "running-late") & (Reply.model == "b")
    Reply.update(checks={"one message": True, "says no worries": False}).where(late).execute()
    screen = screen_of(row, here)
    assert [prompt.differs for prompt in screen.prompts] == [True] * 2 + [False] * 11
    assert screen.prompts[0].incoming == "Friend: Running 10 mins late sorry"
    assert screen.prompts[0].failed_checks == screen.checks == ("says no worries",)
    assert [reply.passed for reply in screen.prompts[0].replies] == [1, 1]
    folder, _ = rendered(row, here)
    page = Tags((folder / "report.html").read_text()).text
    assert page.count("✗ says no worries") == 2 and "1 of 2 checks" in page
    assert (folder / "REPORT.md").read_text().count("fails: says no worries") == 2
    replies = csv.DictReader(io.StringIO((folder / "replies.csv").read_text()))
    assert sum(line["failed_checks"] == "says no worries" for line in replies) == 2


def test_the_template_needs_nothing_but_plain_data() -> None:
    """Whatever else shows a first screen can make its data itself; texts are escaped."""
    card = Card(
        topic="Model",
        tone=Tone.ACT,
        heading="Switch to <A>",
        points=(Point(strong="Better"),),
        commands=(Command(text="jarvisctl vote", about="2 min"),),
        why="**because**",
    )
    screen = FirstScreen(
        title="T",
        when="today",
        jobs="1 of 1 job",
        all_succeeded=True,
        badge="demo data",
        note="",
        links=(("night", "Night"),),
        cards=(card,),
        ranking=(),
        weights={},
        prompts=(),
    )
    shown = html_page.first_screen_html(screen)
    assert "Switch to &lt;A&gt;" in shown and "<strong>because</strong>" in shown
    assert '<section class="card act"' in shown and "<code>jarvisctl vote</code>" in shown


def test_a_part_that_fails_is_named_and_costs_none_of_the_others(here: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    row = run()
    two_models(row)

    def broken(_: object) -> tuple[object, ...]:
        raise ValueError("text of a message")

    monkeypatch.setattr(compose, "prompts", broken)
    screen = screen_of(row, here)
    assert screen.problems == ("prompts: could not be rendered: ValueError",)
    assert screen.cards and screen.ranking and not screen.prompts


def test_an_open_run_says_how_far_it_is(here: Home) -> None:
    row = run()
    job(row, "command:a")
    job(row, "command:b", Status.QUEUED)
    card = first_cards.cards(gather(row.id, here))[-1]
    assert (card.heading, card.points[0].strong) == ("The run is not finished yet", "1 of 2")
