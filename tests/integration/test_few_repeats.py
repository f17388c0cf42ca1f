"""A person who hardly repeats anything: what was mined, what may be reviewed and exported, and why it is so little."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from jarvisd.cli import cli
from jarvisd.cli.common import App
from jarvisd.errors import JarvisError, JobFailed
from jarvisd.paths import Home
from jarvisd.store.models import Job, Run, Status
from jobs import mine
from jobs.lib.results.tables import Template, Verdict
from jobs.lib.reviews import verdicts
from tests.chatdb import ChatDB
from tests.integration import report_nights
from tests.integration.minings import claimed_mining
from tests.tiny_embedder import WORDS, make_embedder

TURNS, PEOPLE = 400, 4
EVERY, USES = 41, 10  #: each 41st message says the same, to one person after the other


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("models") / "tiny")


def history(path: Path, every: int) -> Path:
    """Conversations in which the owner says something new each time, but "thanks" each `every`-th time; 0 = never."""
    db, chance = ChatDB(path), random.Random(7)
    chats = [db.direct(f"+1555000{number}") for number in range(PEOPLE)]
    words = WORDS.split()
    for turn in range(TURNS):
        chat = chats[turn % PEOPLE]
        db.add(" ".join(chance.sample(words, 9)) + f" {turn}", chat=chat)
        repeats = every and turn % every == 0
        db.add("thanks" if repeats else " ".join(chance.sample(words, 14)), chat=chat, from_me=True)
    return db.close()


@pytest.fixture
def night(home: Home, make_run: Callable[..., Run], embedder: Path, tmp_path: Path) -> Callable[[int], Run]:
    """Mine such a history, and write the report."""

    def mined(every: int) -> Run:
        messages = history(tmp_path / "chat.db", every)
        context = claimed_mining(home, make_run, embedder, messages)
        try:
            assert mine.run(context).ok
            Job.update(status=Status.SUCCEEDED).where(Job.id == context.job_id).execute()
        except JobFailed as failure:
            Job.update(status=Status.FAILED, reason=str(failure)).where(Job.id == context.job_id).execute()
        run: Run = Run.get_by_id(context.run_id)
        report_nights.job(run, "report")
        return run

    return mined


def ctl(home: Home, *words: str, typed: str = "") -> str:
    done = CliRunner().invoke(
        cli, list(words), obj=App(home), catch_exceptions=False, standalone_mode=False, input=typed
    )
    return done.output


def refused(home: Home, *words: str) -> str:
    """The one line with which a command is refused."""
    with pytest.raises(JarvisError) as error:
        ctl(home, *words)
    assert "\n" not in str(error.value)
    return str(error.value)


def report(home: Home, run: Run) -> str:
    ctl(home, "report", str(run.id))
    return (home.run_folder(run.id) / "REPORT.md").read_text()


def test_where_next_to_nothing_repeats_each_part_says_so(
    night: Callable[[int], Run], home: Home, tmp_path: Path
) -> None:
    """One template of few uses: the report says why little can be answered, and what it is good for all the same."""
    run = night(EVERY)
    (template,) = Template.select()
    assert (template.representative, template.uses) == ("thanks", USES)
    text = report(home, run)
    assert "Little can be answered: the one template is literally 2.5 % of your messages" in text
    assert "`jarvisctl export templates`" in text
    assert "none would be answered by itself: you have not said yet which drafts you would send" in text
    assert "no template was reviewed and kept yet" in refused(home, "export", "templates")
    (tmp_path / "jarvis").mkdir()
    assert "no template was reviewed and kept yet" in refused(
        home, "deploy", "templates", "--to", str(tmp_path / "jarvis")
    )
    shown = ctl(home, "review", typed="n\n" * 60)
    assert "No draft may answer by itself yet" in shown
    assert "your answers certify no level for that yet" in report(home, run)
    verdicts.decide(str(template.uuid), "thanks", Verdict.KEPT)
    (row,) = json.loads(ctl(home, "export", "templates"))
    assert (row["reply"], row["uses"]) == ("thanks", USES)


def test_where_nothing_repeats_each_part_says_so(night: Callable[[int], Run], home: Home) -> None:
    run = night(0)
    assert Template.select().count() == 0
    text = report(home, run)
    assert f"{TURNS} messages of yours are too few: no 3 of them are alike" in text
    assert "Mine a longer history" in text
    for words in (("review",), ("match", "hello")):
        assert "no run has templates yet" in refused(home, *words)
    assert "no template was reviewed and kept yet" in refused(home, "export", "templates")
