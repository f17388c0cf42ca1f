"""Models that write one text to everything, in a whole night of two rounds: none of them is recommended."""

from __future__ import annotations

import datetime as dt
import json
import random
from pathlib import Path

import pytest

from tests.acceptance.conftest import House
from tests.acceptance.test_night import night
from tests.chatdb import ChatDB
from tests.tiny_llama import make_speaker

RUDE = "rude"
TEXTS = {
    RUDE: "fuck off",
    "yeah": "haha yeah",
    "polite": "That's cool, what about you?",
    "sink": "Haha yes! Saw it, thanks, no worries, see you soon! What time works?",
}


#: What others write, in whole sentences, and what the owner answers.
INCOMING = (
    "Have you seen the {} yet?",
    "I will bring the {} tomorrow evening.",
    "Could you please send me the {}?",
    "We talked about the {} all afternoon.",
)
ANSWERS = (
    "lol the {} again",
    "nah not the {}",
    "yeah {} is fine",
    "omg {} 😂",
    "ok will do",
    "u took the {}?",
    "idk man",
)
THINGS = ("film", "bike", "cake", "train", "report", "garden", "photo", "ticket", "dog", "bill", "tent", "piano")


def history(path: Path) -> Path:
    """Six conversations of people who write in another way than the owner."""
    draw, db = random.Random(3), ChatDB(path)
    when = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for person in range(6):
        chat = db.direct(f"+1555010{person}")
        for _ in range(90):
            when += dt.timedelta(hours=2)
            db.add(draw.choice(INCOMING).format(draw.choice(THINGS)), chat=chat, when=when)
            answer = draw.choice(ANSWERS).format(draw.choice(THINGS))
            db.add(answer, chat=chat, from_me=True, when=when + dt.timedelta(minutes=3))
    return db.close()


@pytest.fixture
def speakers(small_models: Path, tmp_path: Path) -> Path:
    """A folder with the four models and the embedder."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "all-MiniLM-L6-v2").symlink_to(small_models / "all-MiniLM-L6-v2")
    for key, text in TEXTS.items():
        make_speaker(folder / key, text)
    return folder


@pytest.mark.slow
def test_models_that_write_one_text_to_everything_are_not_recommended_and_the_rude_one_is_last(
    house: House, speakers: Path
) -> None:
    """On the scenarios that come with the program, and on turns of a history."""
    history(house.folder / "chat.db")
    run_id = night(
        house,
        speakers,
        *("--only", "evaluate", "--set", f"evaluate.meaning={speakers / 'all-MiniLM-L6-v2'}"),
        *("--set", "evaluate.scenarios=scenarios.yaml", "--set", "evaluate.rounds=2", "--set", "evaluate.turns=24"),
        *("--set", "evaluate.more_samples=1"),
        evaluate=" ".join(TEXTS),
    )
    house.daemon()
    jobs = house.settled(run_id, 900)
    assert {job["status"] for job in jobs.values()} == {"succeeded"}, jobs
    folder = house.root / "var/results" / run_id
    document = json.loads((folder / "mlx_comparison_results.json").read_text())
    for key, model in document["models"].items():
        assert {reply["reply"] for reply in model["generations"]} == {TEXTS[key]}
        assert model["stats"]["own_turns"]["n"] > 0
    verdict = document["verdict"]
    assert (verdict["winner"], verdict["recommended"], verdict["action"]) == (None, False, "keep")
    assert document["ranking"][-1] == RUDE
    assert "a canned reply to everything would have done as well. Keep what you have." in verdict["why"]
    report = (folder / "REPORT.md").read_text()
    assert report.startswith("# A small night: Keep what you have")
    assert "| A canned reply to everything |" in report
