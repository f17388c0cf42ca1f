"""The process behind a session of votes: what it keeps out of the page, and when it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest

from jarvisd.errors import JarvisError, UsageError
from jarvisd.paths import Home
from jarvisd.store.models import Job
from jarvisd.web import process
from jarvisd.web.child import LONGEST_S, Child, Ended
from jobs.lib.results.tables import DraftReview, Reply, TemplateReview, Vote
from tests import morning_rows
from tests.acceptance.conftest import until
from tests.web_client import Client, log_in

NUMERICAL = re.compile(r"numpy|scipy|openblas|torch|mlx|matplotlib")
SECRET = "the words of a friend"
#: Screens that read results; one that loads a library shows by what the page has mapped.
SCREENS = ("decide", "compare", "trend", "search", "review", "vote", "history", "queue", "queue/new", "tonight")


@pytest.fixture
def page(home: Home) -> Iterator[Client]:
    """A page that runs, of a finished night."""
    morning_rows.morning()
    Reply.update(context=SECRET).execute()
    with subprocess.Popen([sys.executable, "-m", "jarvisd.web", "--home", str(home.root)]) as started:
        yield log_in(home, until(lambda: process.running(home)))
        started.terminate()


def numerical(pid: int) -> set[str]:
    """The numerical libraries that a process has mapped."""
    return {mapped.path for mapped in psutil.Process(pid).memory_maps() if NUMERICAL.search(mapped.path)}


def child_of(page: Client) -> psutil.Process:
    (child,) = psutil.Process(page.page.pid).children()
    return child


def value(page: Client, path: str, name: str) -> str:
    return re.findall(rf'name="{name}" value="([^"]*)"', page.text(path))[0]


def vote(page: Client, choice: str = "left") -> None:
    page.post("vote/answer", {"pair": value(page, "vote", "pair"), "choice": choice})


def review(page: Client) -> None:
    """One card and one template."""
    names = {name: value(page, "review/cards", name) for name in ("turn", "text")}
    page.post("review/card", names | {"answer": "send"})
    page.post("review/template", {"template": value(page, "review/templates", "template"), "answer": "kept"})


def has_ended(child: psutil.Process) -> bool:
    return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_votes_and_reviews_load_no_numerical_library_into_the_page(page: Client) -> None:
    """The child has them, and ends with the session; no text is in a command line or in a log."""
    page.post("vote/begin", {})
    child = child_of(page)
    vote(page)
    vote(page, "right")
    page.post("vote/undo", {})
    vote(page, "tie")
    assert SECRET in page.text("vote")
    assert any("numpy" in name for name in numerical(child.pid))
    assert SECRET not in " ".join(child.cmdline())
    page.post("vote/end", {})
    assert "2 votes stored, 2 in all." in page.text("vote/names")
    assert has_ended(child)
    review(page)
    for screen in SCREENS:
        page.text(screen)
    assert numerical(page.page.pid) == set()
    assert [row.choice for row in Vote.select()] == ["left", "tie"]
    assert (DraftReview.select().count(), TemplateReview.select().count()) == (1, 1)


def test_no_text_of_a_session_is_in_a_log(home: Home, page: Client) -> None:
    Job.delete().where(Job.is_report).execute()
    page.post("vote/begin", {})
    vote(page)
    child_of(page).kill()
    vote(page)
    logs = "".join(path.read_text() for path in home.logs.iterdir())
    assert "the process of jobs.verbs.vote.sitting:Sitting ended with status -9" in logs
    assert SECRET not in logs and "yes!!" not in logs


def test_a_session_whose_process_died_says_so_and_keeps_its_votes(page: Client) -> None:
    """Whatever the owner does next; a new session then begins with another pair."""
    Job.delete().where(Job.is_report).execute()  # to write it again takes seconds
    for votes, asks in enumerate(("", "vote/answer", "vote/undo", "vote/end"), start=1):
        page.post("vote/begin", {})
        pair = value(page, "vote", "pair")
        vote(page)
        child = child_of(page)
        child.kill()
        until(lambda child=child: has_ended(child))
        if asks:
            page.post(asks, {"pair": pair, "choice": "left"})
        assert (asks, "This session has ended; its answers are kept." in page.text("vote")) == (asks, True)
        assert Vote.select().count() == votes


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_the_process_ends_with_the_page(page: Client, by: signal.Signals) -> None:
    page.post("vote/begin", {})
    child = child_of(page)
    os.kill(page.page.pid, by)
    assert until(lambda: has_ended(child), what="the child ends")


def test_the_page_ends_while_the_process_is_computing(page: Client) -> None:
    """An answer may take a minute; the end of the page does not wait for it."""
    page.post("vote/begin", {})
    form, child = urlencode({"pair": value(page, "vote", "pair"), "choice": "left"}), child_of(page)
    child.suspend()
    with closing(page.connect()) as asking:
        own = {"Origin": f"http://127.0.0.1:{page.page.port}", "Sec-Fetch-Site": "same-origin", "Cookie": page.cookie}
        asking.request("POST", f"{page.root}/vote/answer", form, own)
        page.text("tonight")  # by then the page has taken the request before it
        os.kill(page.page.pid, signal.SIGTERM)
        until(lambda: has_ended(psutil.Process(page.page.pid)), LONGEST_S / 2, what="the page ends")
    assert until(lambda: has_ended(child), what="the child ends")


def test_a_new_session_ends_the_one_before(page: Client) -> None:
    page.post("vote/begin", {})
    first = child_of(page)
    page.post("vote/begin", {})
    assert has_ended(first) and child_of(page).pid != first.pid


def test_it_ends_when_idle(home: Home) -> None:
    """The same process with a shorter time than its 15 minutes; its status then is 0."""
    words = ["--home", str(home.root), "--idle-minutes", "0.001", "builtins:dict"]
    program = [sys.executable, "-m", "jarvisd.web.child_process", *words]
    with subprocess.Popen(program, stdin=subprocess.PIPE) as child:
        assert child.wait(60) == 0


# ------------------------------------------------------------------------------------------------ a handler's answers


@pytest.fixture
def child(home: Home) -> Iterator[Child]:
    made = Child(home, "builtins:dict")
    yield made
    made.close()


def ask(child: Child, do: str, **values: Any) -> Any:
    return asyncio.run(child.ask(do, **values))


def test_an_unforeseen_error_is_one_line_and_the_next_request_is_answered(
    child: Child, caplog: pytest.LogCaptureFixture
) -> None:
    """The text of the error, which may quote a message, stays in the child."""
    with pytest.raises(JarvisError, match=r"unexpected AttributeError\. This is a bug"):
        ask(child, "no_such_method", text=SECRET)
    assert "builtins:dict: AttributeError: at child_process.py" in caplog.text and SECRET not in caplog.text
    assert ask(child, "copy") == {}


def test_what_the_handler_refuses_is_refused_with_its_words(home: Home) -> None:
    child = Child(home, "jobs.verbs.vote.sitting:Sitting")
    with pytest.raises(UsageError, match="no-such-run"):
        ask(child, "begin", run="no-such-run", between=[])
    child.close()


def test_a_child_that_does_not_answer_is_ended(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jarvisd.web.child.LONGEST_S", 0.3)
    psutil.Process(child.pid).suspend()
    with pytest.raises(Ended):
        ask(child, "copy")
    assert not child.runs


def test_a_child_that_is_forgotten_ends(home: Home) -> None:
    """A login that is gone leaves no process."""
    child = Child(home, "builtins:dict")
    running = psutil.Process(child.pid)
    del child
    assert until(lambda: has_ended(running), what="the child ends")


def test_ctrl_c_is_for_the_page(child: Child) -> None:
    """A terminal sends it to both; what the child has to finish is the page's to say."""
    assert ask(child, "copy") == {}
    os.kill(child.pid, signal.SIGINT)
    assert ask(child, "copy") == {}


def test_a_handler_reads_a_database_that_was_replaced(home: Home, child: Child, tmp_path: Path) -> None:
    """And says where there is none, without an end of its process."""
    assert ask(child, "copy") == {}
    kept = tmp_path / "kept"
    home.var.rename(kept)
    with pytest.raises(UsageError, match="nothing was submitted here yet"):
        ask(child, "copy")
    kept.rename(home.var)
    assert ask(child, "copy") == {}
