"""A whole small night from outside: real messages, real models, the real queue, through to the report."""

from __future__ import annotations

import json
import signal
import sqlite3
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.lib.imessage import schema
from tests.acceptance import readme
from tests.acceptance.conftest import House, until

SCENARIOS = """
opening: You are helping draft an iMessage reply. Be brief and natural (1-2 sentences max).
every_reply: [one message, short enough]
scenarios:
  - id: running-late
    context: "Friend: Running 10 mins late sorry"
    prompts:
      - instruction: Say no worries
        checks:
          reassures: {says: ['no worries', 'no problem', 'all good', 'fine']}
  - id: friend-banter
    context: "Friend: That was so funny lol"
    prompts:
      - instruction: Short laugh response
        checks:
          laughs: {says: ['haha', 'lol', 'funny']}
"""
REPLIES = ["on my way", "lol", "sounds good", "haha yes", "see you soon", "no worries", "idk", "ok cool", "love it"]
EXTRAS = ["I walked past the old bakery {n} today", "the train number {n} was late again and nobody told us why"]


def chat_db(path: Path, messages: int = 2400) -> Path:
    """A Messages database with an answered conversation with four people; most of my replies repeat."""
    connection = sqlite3.connect(path)
    schema.create(connection)
    start_ns, minute_ns = 780_000_000 * 10**9, 60 * 10**9
    for person in range(1, 5):
        connection.execute(
            "INSERT INTO handle (ROWID, id, service) VALUES (?, ?, 'iMessage')", (person, f"+1555000{person}")
        )
        connection.execute(
            "INSERT INTO chat (ROWID, guid, style, chat_identifier) VALUES (?, ?, 45, ?)",
            (person, f"c{person}", f"+1555000{person}"),
        )
        connection.execute("INSERT INTO chat_handle_join VALUES (?, ?)", (person, person))
    for number in range(messages):
        person, mine = number % 4 + 1, number // 4 % 2
        text = f"are you coming {'tonight' if number % 3 else 'tomorrow'}?"
        if mine:
            text = (
                EXTRAS[number % 2].format(n="x" * (number % 7))
                if number % 9 == 0
                else REPLIES[number // 8 % len(REPLIES)]
            )
        connection.execute(
            "INSERT INTO message (ROWID, guid, text, attributedBody, handle_id, is_from_me, date, service)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'iMessage')",
            (
                number + 1,
                f"m{number}",
                None if number % 3 else text,
                schema.encode_attributed_body(text) if number % 3 else None,
                0 if mine else person,
                mine,
                start_ns + number * minute_ns,
            ),
        )
        connection.execute("INSERT INTO chat_message_join (chat_id, message_id) VALUES (?, ?)", (person, number + 1))
    connection.commit()
    connection.close()
    return path


def night(house: House, models: Path, *more: str, name: str = "small", evaluate: str = "smollm2-135m") -> str:
    """Write a plan with two prompts and submit it."""
    plans = house.root / "config" / "plans"
    plans.mkdir(parents=True, exist_ok=True)
    (plans / "two.yaml").write_text(SCENARIOS)
    messages = house.folder / "chat.db"
    if not messages.exists():
        chat_db(messages)
    listed = ", ".join(json.dumps(str(models / key)) for key in evaluate.split())
    embedder = json.dumps(str(models / "all-MiniLM-L6-v2"))
    (plans / f"{name}.yaml").write_text(
        f"title: A small night\nmessages: {messages}\n"
        f"mine: {{embedder: {embedder}, matcher: {embedder}, templates: 10}}\n"
        f"evaluate: {{models: [{listed}], scenarios: two.yaml, max_tokens: 12}}\n"
        "report: {}\n"
    )
    return house.enqueue(name, *more)


def replies(house: House) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{house.root / 'var' / 'jarvis.db'}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT job_id, scenario_id, prompt, sample FROM reply ORDER BY 1, 2, 3, 4").fetchall()
    database.close()
    return rows


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_a_night_from_enqueue_to_report(house: House, small_models: Path) -> None:
    house.daemon()
    run_id = night(house, small_models)
    jobs = house.settled(run_id, 240)
    assert {name: job["status"] for name, job in jobs.items()} == {
        "mine": "succeeded",
        "evaluate:smollm2-135m": "succeeded",
        "report": "succeeded",
    }
    folder = house.root / "var" / "results" / run_id
    assert (house.root / "var" / "results" / "latest").resolve() == folder
    stats = json.loads((folder / "templates.json").read_text())["stats"]
    assert stats["total_messages"] == 1200
    assert stats["templates_extracted"] >= 5
    assert 0 <= stats["coverage"] <= 1
    (model,) = json.loads((folder / "mlx_comparison_results.json").read_text())["models"].values()
    assert model["stats"]["total_tests"] == 2
    assert model["stats"]["avg_latency_ms"] > 0
    markdown, page = (folder / "REPORT.md").read_text(), (folder / "report.html").read_text()
    for part in ("6.2 %", "smollm2-135m", "Running 10 mins late sorry"):
        assert part in markdown
    parsed = Tags()
    parsed.feed(page)
    assert {"svg", "table"} <= parsed.seen
    assert parsed.seen & {"img", "iframe", "object", "link"} == set()
    assert "default-src 'none'" in page
    assert house.ctl("report").stdout.strip() == markdown.strip()
    assert house.ctl("report", "--path").stdout.strip() == str(folder / "report.html")
    run_log = (folder / "experiment.log").read_text()
    told = [
        "begins: 3 jobs (mine, evaluate:smollm2-135m, report)",
        "mine begins",
        "mine succeeded after",
        "peak memory",
    ]
    told += ["report: verdict: ", "report succeeded", f"run {run_id} is settled: 3 succeeded"]
    places = [run_log.find(words) for words in told]
    assert -1 not in places, run_log
    assert places == sorted(places)
    readme.check_files(house.root)


@pytest.mark.slow
def test_a_model_that_does_not_exist_fails_alone_and_the_report_says_so(house: House, small_models: Path) -> None:
    house.daemon()
    run_id = night(house, small_models, "--set", "evaluate.models=[no/such-model]")
    jobs = house.settled(run_id, 120)
    failed = next(job for name, job in jobs.items() if name.startswith("evaluate:"))
    assert failed["status"] == "failed"
    assert "not on this disk" in failed["reason"]
    assert jobs["report"]["status"] == "succeeded"
    markdown = house.ctl("report").stdout
    assert "not on this disk" in markdown
    assert f"`jarvisctl models fetch no/such-model && jarvisctl retry {failed['id']}`" in markdown


def test_everything_missing_still_ends_in_a_report(house: House) -> None:
    """The shipped night on a machine with no Messages and no models: one warning per cause, then a report."""
    submitted = house.ctl("enqueue", "overnight")
    assert submitted.stderr.count("warning: ") == 2, submitted.stderr  # chat.db, the models
    house.daemon()
    jobs = house.settled(submitted.stdout.strip(), 120)
    assert {job["status"] for name, job in jobs.items() if name != "report"} == {"failed"}
    assert jobs["report"]["status"] == "succeeded"
    run_id = submitted.stdout.strip()
    assert f"`jarvisctl models fetch --only overnight && jarvisctl retry {run_id}`" in house.ctl("report").stdout


def test_the_second_submission_of_a_nightly_plan_changes_nothing(house: House) -> None:
    first = house.ctl("enqueue", "overnight")
    second = house.ctl("enqueue", "overnight")
    assert second.stdout == first.stdout
    assert "submitted before" in second.stderr
    assert house.enqueue("overnight", "--again") != first.stdout.strip()
    house.ctl("cancel", first.stdout.strip())
    assert house.enqueue("overnight").endswith("-3")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["daemon", "child"])
def test_kill_9_in_the_middle_costs_no_reply_and_gives_none_twice(
    house: House, small_models: Path, victim: str
) -> None:
    run_id = night(house, small_models, "--set", "evaluate.samples=4")
    daemon = house.daemon()
    until(lambda: len(_committed(house)) >= 2, 120, "two replies are committed")
    if victim == "daemon":
        daemon.kill()
        daemon.wait()
        until(lambda: not children(house), what="the child noticed that its daemon is gone")
        house.daemon()
    else:
        house.child_of(run_id).send_signal(signal.SIGKILL)
    jobs = house.settled(run_id, 240)
    assert [job["status"] for job in jobs.values()] == ["succeeded"] * 3
    assert jobs["evaluate:smollm2-135m"]["attempt"] == 2
    stored = replies(house)
    assert len(stored) == len(set(stored)) == 2 * 4
    with sqlite3.connect(house.root / "var" / "jarvis.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def _committed(house: House) -> list[tuple[Any, ...]]:
    return replies(house) if (house.root / "var" / "jarvis.db").exists() else []


def children(house: House) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if "jarvisd.worker" in (process.info["cmdline"] or []) and str(house.root) in process.info["cmdline"]
    ]


@pytest.mark.slow
def test_a_report_that_is_gone_is_rendered_again_from_the_database(house: House, small_models: Path) -> None:
    house.daemon()
    run_id = night(house, small_models, "--only", "mine")
    house.settled(run_id, 240)
    folder = house.root / "var" / "results" / run_id
    for path in folder.iterdir():
        path.unlink()
    assert "templates" in house.ctl("report").stdout
    assert (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"not a database at all" * 100), "not a"),
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE message (x)").connection.close(), "Messages"),
        (lambda path: chat_db(path, messages=0), "no message"),
        (lambda path: path.mkdir(), "chat.db"),
    ],
    ids=["not a database", "another database", "empty", "a folder"],
)
def test_a_messages_database_that_cannot_be_used_is_a_warning_and_a_failed_job(
    house: House, small_models: Path, make: Any, message: str
) -> None:
    make(house.folder / "chat.db")
    plans = house.root / "config" / "plans"
    plans.mkdir(parents=True)
    embedder = json.dumps(str(small_models / "all-MiniLM-L6-v2"))
    (plans / "bad.yaml").write_text(
        f"messages: {house.folder / 'chat.db'}\nmine: {{embedder: {embedder}, matcher: {embedder}}}\nreport: {{}}\n"
    )
    warned = house.ctl("enqueue", "bad")
    assert warned.stderr.count("warning: mine: ") == 1
    house.daemon()
    jobs = house.settled(warned.stdout.strip(), 60)
    assert jobs["mine"]["status"] == "failed"
    assert message in jobs["mine"]["reason"]
    assert jobs["report"]["status"] == "succeeded"


def test_a_pause_without_an_end_ends_with_the_nightly_run(house: House) -> None:
    house.ctl("pause")
    assert "ends that pause" not in house.ctl("enqueue", "overnight", "--only", "report", code=None).stderr
    assert house.status()["daemon"]["paused"]
    assert "ends that pause" in house.ctl("enqueue", "overnight").stderr
    assert not house.status()["daemon"]["paused"]


def test_a_cancelled_run_says_so_where_its_report_would_be(house: House) -> None:
    run_id = house.enqueue("overnight")
    house.ctl("pause")
    house.ctl("cancel", run_id)
    assert {job["status"] for job in house.jobs(run_id).values()} == {"cancelled"}
    assert house.ctl("cancel", run_id, code=1).stderr.startswith("jarvisctl: nothing to cancel")
