"""The screens of the local page over a real database, without a browser: what they show, what their forms change."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from jarvisd.host import machine
from jarvisd.paths import Home
from jarvisd.store import database, queries
from jarvisd.store.models import Job, Run, Status
from jarvisd.web.screens import tonight
from tests.claiming import claimed, finish
from tests.web import Browser, Reply

MakeRun = Callable[..., Run]
JSON = {"accept": "application/json"}


@pytest.fixture
def browser(home: Home) -> Browser:
    return Browser(home)


def confirmed(browser: Browser, path: str, fields: dict[str, str]) -> Reply:
    """Send a form, and answer its question with yes."""
    return browser.post(path, fields | {"seen": seal(browser.post(path, fields))})


def seal(question: Reply) -> str:
    """What the answer to a question must hold."""
    assert question.status == 200, question.text
    match = re.search(r'name="seen" value="(\w+)"', question.text)
    assert match is not None, question.text
    return match[1]


def states() -> dict[str, str]:
    return {job.name: str(job.status) for job in Job.select()}


# ---------------------------------------------------------------------------------------------------------- tonight


def test_tonight_shows_what_runs_and_what_waits_for_what(browser: Browser, make_run: MakeRun, home: Home) -> None:
    make_run("command:count", "command:next", "report")
    job = claimed()
    Job.update(done=3, total=12, note="line").where(Job.id == job.id).execute()
    home.job_log(job.id).write_text("first\n\x1b[31mred\x1b[0m <b>\n")
    text = browser.get("tonight").text
    assert 'value="0.25"' in text
    assert "3 of 12, line" in text
    assert "MB of at most" in text
    assert "first\nred &lt;b&gt;</pre>" in text
    assert "next, after 1" in text
    assert "The daemon is down" in text


def test_the_memory_limit_is_that_of_the_settings(browser: Browser, make_run: MakeRun, home: Home) -> None:
    """Or three quarters of the computer's memory."""
    make_run("command:first")
    claimed()
    assert f"of at most {machine.most_mb():,} MB" in browser.get("tonight").text
    (home.root / "config").mkdir()
    (home.root / "config" / "settings.yaml").write_text("memory: {hard_mb: 1234}\n")
    tonight._limit_mb.cache_clear()
    assert "of at most 1,234 MB" in browser.get("tonight").text
    tonight._limit_mb.cache_clear()


def test_a_poll_without_news_is_empty_and_one_with_news_has_them(browser: Browser, make_run: MakeRun) -> None:
    run = make_run("command:first")
    assert browser.get("tonight").status == 200
    first = browser.get("tonight/live")
    tag = {"if-none-match": first.headers["etag"]}
    assert '"state-1":"queued"' in first.text
    assert (browser.get("tonight/live", tag).status, browser.get("tonight/live", tag).text) == (304, "")
    finish(claimed())
    news = browser.get("tonight/live", tag)
    assert news.status == 200 and '"state-1":"succeeded"' in news.text and '"cancel-1":true' in news.text
    assert run.id in browser.get("tonight").text


def test_a_poll_has_news_where_only_the_log_has_grown(browser: Browser, make_run: MakeRun, home: Home) -> None:
    make_run("command:first")
    log = home.job_log(claimed().id)
    log.write_text("one\n")
    tag = {"if-none-match": browser.get("log/job/1/live").headers["etag"]}
    assert browser.get("log/job/1/live", tag).status == 304
    log.write_text("one\ntwo\n")
    assert "two" in browser.get("log/job/1/live", tag).text


def test_a_new_job_changes_the_outline_and_a_change_of_state_does_not(browser: Browser, make_run: MakeRun) -> None:
    """A page offers to show new rows by itself; it moves nothing."""
    make_run("command:first")
    outlines = [_outline(browser)]
    finish(claimed())
    outlines.append(_outline(browser))
    make_run("command:second")
    outlines.append(_outline(browser))
    assert outlines[0] == outlines[1] != outlines[2]


def _outline(browser: Browser) -> str:
    return browser.get("tonight/live").text.rpartition('"outline":')[2]


# ---------------------------------------------------------------------------------------------------------- actions


def test_nothing_is_cancelled_before_the_question_is_answered(browser: Browser, make_run: MakeRun) -> None:
    run = make_run("command:first", "command:second")
    question = browser.post("act/cancel", {"target": run.id})
    assert f"Cancel {run.id}?" in question.text and "2 command:second, queued" in question.text
    assert set(states().values()) == {"queued"}
    browser.post("act/cancel", {"target": run.id, "seen": "0" * 64})
    assert set(states().values()) == {"queued"}
    assert confirmed(browser, "act/cancel", {"target": run.id}).status == 303
    assert set(states().values()) == {"cancelled"}


def test_an_answer_to_an_older_question_does_not_count(browser: Browser, make_run: MakeRun) -> None:
    """Between the question and the answer the job has started: the user is asked again, with what is true now."""
    make_run("command:first")
    old = seal(browser.post("act/cancel", {"target": "1"}))
    claimed()
    again = browser.post("act/cancel", {"target": "1", "seen": old})
    assert "1 command:first, running" in again.text
    assert not Job.get_by_id(1).cancel_requested


def test_a_retry_queues_again_with_a_deadline_and_leads_back(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first")
    finish(claimed(), Status.FAILED)
    fields = {"target": "1", "until": "07:00", "back": "queue?state=failed"}
    answer = confirmed(browser, "act/retry", fields)
    assert answer.headers["location"] == f"{browser.keys.root}/queue?state=failed"
    assert states() == {"command:first": "queued"} and Run.get().deadline is not None
    assert "1 job queued." in browser.get("queue").text
    assert "1 job queued." not in browser.get("queue").text  # said once


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "../..", 'x"y', "javascript:alert(1)"])
def test_no_form_leads_to_another_place(browser: Browser, make_run: MakeRun, back: str) -> None:
    make_run("command:first")
    answer = confirmed(browser, "act/cancel", {"target": "1", "back": back})
    assert answer.headers["location"] == f"{browser.keys.root}/tonight"


def test_pause_and_resume(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first")
    confirmed(browser, "act/pause", {"for": "2h"})
    assert "Paused until" in browser.get("tonight").text and "act/resume" in browser.get("tonight").text
    confirmed(browser, "act/resume", {})
    assert "act/pause" in browser.get("tonight").text
    assert browser.post("act/pause", {"for": "soon"}).status == 400


def test_an_unknown_job_is_said_and_not_a_fault(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first")
    answer = browser.post("act/cancel", {"target": "99"})
    assert answer.status == 400 and "no job has the number 99" in answer.text
    assert browser.post("act/cancel", {"target": "99"}, JSON).text.startswith('{"trouble":"no job has the number 99')
    assert browser.get("log/job/../settings").status == 404
    assert browser.get("history/run/..").status == 400


# ------------------------------------------------------------------------------------------------------------- queue


def test_the_queue_is_filtered_by_state_kind_run_and_name(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first", "mine", plan="one")
    make_run("command:second", plan="two")
    finish(claimed(), Status.FAILED)
    for query, names in {
        "": {"command:first", "mine", "command:second"},
        "state=failed": {"command:first"},
        "kind=mine": {"mine"},
        "run=2026-11-22-two": {"command:second"},
        "name=command:s&state=queued": {"command:second"},
        "run=%25": set(),
    }.items():
        text = browser.get(f"queue?{query}").text
        assert {name for name in ("command:first", "mine", "command:second") if f" {name}</a>" in text} == names


def test_all_that_match_are_cancelled_and_no_others(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first", "mine", plan="one")
    make_run("command:second", plan="two")
    question = browser.post("queue/cancel", {"run": "2026-11-22-one"})
    assert "Cancel 2 jobs?" in question.text
    answer = confirmed(browser, "queue/cancel", {"run": "2026-11-22-one"})
    assert answer.headers["location"].endswith("/queue?run=2026-11-22-one")
    assert states() == {"command:first": "cancelled", "mine": "cancelled", "command:second": "queued"}
    confirmed(browser, "queue/retry", {"state": "cancelled", "kind": "mine"})
    assert states() == {"command:first": "cancelled", "mine": "queued", "command:second": "queued"}


def test_jobs_that_came_since_the_question_are_not_cancelled(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first")
    old = seal(browser.post("queue/cancel", {}))
    make_run("command:second")
    assert "Cancel 2 jobs?" in browser.post("queue/cancel", {"seen": old}).text
    assert set(states().values()) == {"queued"}


def test_the_queue_has_pages(browser: Browser, make_run: MakeRun) -> None:
    make_run(*[f"command:n{number}" for number in range(120)])
    assert "Page 1 of 3" in browser.get("queue").text
    last = browser.get("queue?page=3").text
    assert "command:n0</a>" in last and "command:n119</a>" not in last
    assert browser.get("queue?page=0").status == browser.get("queue?page=x").status == 400


# -------------------------------------------------------------------------------------------------------- submission


def test_a_plan_is_checked_by_its_own_schema_as_it_is_typed(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first")
    fields = {"what": "plan", "plan": "overnight", "settings": "mine.templates=many"}
    assert "must be a whole number" in browser.post("queue/check", fields).text
    fields["settings"] = "mine.templates=80"
    assert "jobs: mine, " in browser.post("queue/check", fields).text
    assert "no plan is called" in browser.post("queue/check", fields | {"plan": "../../etc/passwd"}).text
    assert Run.select().count() == 1


def test_a_submission_stores_what_was_shown(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first")
    fields = {"what": "plan", "plan": "overnight", "settings": "mine.templates=80", "only": "mine", "until": "07:00"}
    answer = confirmed(browser, "queue/submit", fields)
    run = queries.newest_run()
    assert run is not None and answer.headers["location"].endswith(f"/history/run/{run.id}")
    assert [job.name for job in queries.jobs_of(run)] == ["mine", "report"]
    assert run.snapshot["overrides"] == ["mine.templates=80"] and run.deadline is not None
    assert f"Submitted: {run.id}" in browser.get(f"history/run/{run.id}").text


def test_a_command_is_split_into_words_and_no_shell_reads_it(
    browser: Browser, make_run: MakeRun, tmp_path: Path
) -> None:
    make_run("command:first")
    fields = {"what": "command", "program": "echo 'two words' $(id) > file", "cwd": str(tmp_path), "timeout": "60"}
    question = browser.post("queue/submit", fields)
    old = seal(question)
    assert "Submit the command?" in browser.post("queue/submit", fields | {"program": "rm -r x", "seen": old}).text
    confirmed(browser, "queue/submit", fields)
    job = Job.get(Job.name == "command:echo")
    assert job.params["program"] == ["echo", "two words", "$(id)", ">", "file"] and job.timeout_s == 60
    for wrong in ({"program": "echo 'open"}, {"program": ""}, {"timeout": "soon"}):
        answer = browser.post("queue/submit", fields | {"seen": "x"} | wrong)
        assert answer.status in (200, 400) and Job.select().count() == 2


# ------------------------------------------------------------------------------------------------- history and logs


def test_history_lists_every_run_with_its_verdict(browser: Browser, make_run: MakeRun) -> None:
    run = make_run("report")
    job = claimed()
    outcome = {"ok": True, "attempt": 1, "summary": {"verdict": "keep <qwen3>"}}
    Job.update(outcome=outcome).where(Job.id == job.id).execute()
    finish(job)
    for path in ("history", f"history/run/{run.id}"):
        assert "keep &lt;qwen3&gt;" in browser.get(path).text
    assert f'href="{browser.keys.root}/decide/run/{run.id}"' in browser.get(f"history/run/{run.id}").text
    for number in range(30):
        make_run("command:more", plan=f"p{number}")
    assert "Page 1 of 2" in browser.get("history").text and run.id in browser.get("history?page=2").text


def test_the_report_is_sent_under_its_own_policy(browser: Browser, make_run: MakeRun, home: Home) -> None:
    """Two policies at once would stop its script."""
    run = make_run("report")
    assert browser.get(f"history/report/{run.id}").status == 400
    finish(claimed())
    page = home.run_folder(run.id) / "report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    policy = "default-src 'none'; script-src 'sha256-abc='"
    page.write_text(f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}"><p>x')
    answer = browser.get(f"history/report/{run.id}")
    assert answer.headers["content-security-policy"] == f"{policy}; frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store" and "<p>x" in answer.text
    page.write_text("<p>no policy of its own")
    assert "default-src 'none'" in browser.get(f"history/report/{run.id}").headers["content-security-policy"]


def test_a_long_log_comes_in_parts(browser: Browser, make_run: MakeRun, home: Home) -> None:
    make_run("command:first")
    log = home.job_log(claimed().id)
    log.write_text("".join(f"line {number}\n" for number in range(20_000)))
    last, first = browser.get("log/job/1").text, browser.get("log/job/1?part=1").text
    assert "line 19999" in last and "Part 4 of 4" in last
    assert "line 0\n" in first and "line 19999" not in first
    assert 'data-live=""' in first and 'data-live=""' not in last  # only the last part grows


# ---------------------------------------------------------------------------------------------------- what goes wrong


def test_a_home_without_a_run_says_how_to_begin(tmp_path: Path) -> None:
    browser = Browser(Home(tmp_path / "empty", "--home"))
    for path in ("tonight", "queue", "history", "log/job/1"):
        answer = browser.get(path)
        assert answer.status == 200 and "Nothing was submitted yet" in answer.text
    assert "jarvisctl enqueue" in browser.get("tonight/live").text


def test_the_first_run_of_a_home_can_be_submitted_from_the_page(tmp_path: Path) -> None:
    """Every page leads to the form, which works before there is a database."""
    browser = Browser(Home(tmp_path / "empty", "--home"))
    assert f'href="{browser.keys.root}/queue/new"' in browser.get("tonight").text
    assert "A plan" in browser.get("queue/new").text
    plan = {"what": "plan", "plan": "overnight"}
    assert "jobs: mine" in browser.post("queue/check", plan).text
    assert not browser.home.database.exists()
    answer = confirmed(browser, "queue/submit", plan)
    run = Run.select().first()
    assert answer.headers["location"].endswith(f"/history/run/{run.id}")
    assert f"Submitted: {run.id}" in browser.get(f"history/run/{run.id}").text
    assert "mine" in browser.get("tonight").text


def test_a_locked_database_is_said_and_the_page_goes_on(browser: Browser, make_run: MakeRun) -> None:
    """Another program holds it exclusively; when it lets go, the next poll answers."""
    make_run("command:first")
    assert browser.get("tonight").status == 200
    database.disconnect()
    path = browser.home.database
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("UPDATE job SET place = place")
    answer, poll = browser.get("tonight"), browser.get("tonight/live")
    assert (answer.status, poll.status) == (503, 503)
    assert "locked" in answer.text and 'http-equiv="refresh"' in answer.text and '"trouble"' in poll.text
    other.execute("COMMIT")
    other.close()
    assert browser.get("tonight").status == 200


def test_a_form_says_that_another_program_writes_and_changes_nothing(browser: Browser, make_run: MakeRun) -> None:
    make_run("command:first")
    fields = {"target": "1", "seen": seal(browser.post("act/cancel", {"target": "1"}))}
    other = sqlite3.connect(browser.home.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = browser.post("act/cancel", fields)
    other.execute("COMMIT")
    other.close()
    assert answer.status == 503 and "locked" in answer.text and states() == {"command:first": "queued"}
    assert browser.post("act/cancel", fields).status == 303 and states() == {"command:first": "cancelled"}


def test_a_damaged_database_is_said_and_a_mended_one_is_read(browser: Browser, make_run: MakeRun, home: Home) -> None:
    make_run("command:first")
    assert browser.get("tonight").status == 200
    database.disconnect()
    whole = home.database.read_bytes()
    for suffix in ("-wal", "-shm"):
        Path(f"{home.database}{suffix}").unlink(missing_ok=True)
    home.database.unlink()
    home.database.write_bytes(b"no database at all" * 500)
    answer = browser.get("tonight")
    assert answer.status == 503 and "damaged" in answer.text
    home.database.unlink()
    home.database.write_bytes(whole)
    assert "command:first" in browser.get("tonight").text


def test_what_strangers_wrote_is_shown_as_text(browser: Browser, make_run: MakeRun, home: Home) -> None:
    """Script, markdown, changes of direction and terminal sequences, in a log and in a name."""
    make_run("command:first")
    hostile = "<script>alert(1)</script> [x](javascript:alert(1)) \u202egnp.exe \x1b[2J\x1b]0;title\x07 {{ 7*7 }}"
    job = claimed()
    home.job_log(job.id).write_text(hostile + "\n")
    Job.update(note=hostile).where(Job.id == job.id).execute()
    for path in ("tonight", "log/job/1", "tonight/live", "log/job/1/live", "queue"):
        text = browser.get(path).text
        assert "\u202e" not in text and "\\u202e" not in text and "\x1b" not in text
        assert "<script>alert" not in text or path.endswith("live")
        assert browser.get(path).headers["content-type"].startswith(("text/html", "application/json"))
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt; [x](javascript:alert(1)) gnp.exe  {{ 7*7 }}"
        in browser.get("log/job/1").text
    )
