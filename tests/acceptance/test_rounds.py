"""A night in rounds, from outside: more samples, then real turns, and what a crash or a deadline does."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import House, until
from tests.acceptance.test_night import night

TURNS, SAMPLES = 3, 2
#: Seconds that are kept for the report before a deadline.
RESERVE_S = 18


@pytest.fixture
def models(small_models: Path, tmp_path: Path) -> Path:
    """The small models, one of them a second time under the name "twin"."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("all-MiniLM-L6-v2", "smollm2-135m"):
        (folder / name).symlink_to(small_models / name)
    (folder / "twin").symlink_to(small_models / "smollm2-135m")
    return folder


def rounds(house: House, models: Path, *more: str) -> str:
    """Submit a night of two models, without mining. With fewer tokens no reply were complete, and round 2 not come."""
    return night(
        house,
        models,
        *("--set", "evaluate.max_tokens=20"),
        *("--only", "evaluate", "--set", f"evaluate.meaning={models / 'all-MiniLM-L6-v2'}"),
        *("--set", f"evaluate.more_samples={SAMPLES}", "--set", f"evaluate.turns={TURNS}", *more),
        evaluate="smollm2-135m twin",
    )


def rows(house: House, question: str) -> list[tuple[Any, ...]]:
    path = house.root / "var" / "jarvis.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(question).fetchall()


def replies(house: House) -> list[tuple[Any, ...]]:
    return rows(house, "SELECT model, scenario_id, prompt, sample FROM reply")


def reports(house: House) -> Counter[int]:
    """Round -> reports that were written in it."""
    return Counter(
        round_ for (round_,) in rows(house, "SELECT round FROM job WHERE kind = 'report' AND status = 'succeeded'")
    )


@pytest.mark.slow
@pytest.mark.parametrize(("last", "kills"), [(2, [8]), (3, [1, 6, 15, 22])], ids=["one", "every round"])
def test_kill_9_in_a_round_loses_no_reply_gives_none_twice_and_the_next_round_comes(
    house: House, models: Path, last: int, kills: list[int]
) -> None:
    """Killed when so many replies are committed, whichever job that hits."""
    run_id = rounds(house, models, "--set", f"evaluate.rounds={last}")
    wanted = 2 * (2 * (1 + SAMPLES) + (last - 1) * TURNS)
    for so_far in kills:
        daemon = house.daemon()
        until(lambda reached=so_far: len(replies(house)) >= reached, 900, f"{so_far} replies are committed")
        daemon.kill()
        daemon.wait()
    house.daemon()
    house.settled(run_id, 300)
    jobs = house.run(run_id)["jobs"]
    assert {job["status"] for job in jobs} == {"succeeded"}, jobs
    assert len(replies(house)) == len(set(replies(house))) == wanted
    assert reports(house) == dict.fromkeys(range(1, last + 1), 1)
    assert rows(house, "PRAGMA integrity_check") == [("ok",)]
    document = json.loads((house.root / "var/results" / run_id / "mlx_comparison_results.json").read_text())
    assert document["rounds"] == last
    assert {len(model["generations"]) for model in document["models"].values()} == {wanted // 2}
    assert document["verdict"]["winner"] is None, "the same model twice, with the same seeds"
    assert [model["stats"]["p_best"] for model in document["models"].values()] == pytest.approx([0.5, 0.5], abs=0.02)
    assert [pair["difference"] for pair in document["pairs"]] == [0]


@pytest.mark.slow
def test_a_deadline_in_the_middle_of_a_round_still_gives_a_report_on_time_with_what_is_there(
    house: House, models: Path
) -> None:
    """From the second round on a job ends by itself before the deadline, and what it has is kept."""
    (house.root / "config").mkdir(parents=True)
    (house.root / "config" / "settings.yaml").write_text(f"report: {{reserve_minutes: {RESERVE_S / 60}}}\n")
    more = ("--set", "evaluate.rounds=auto", "--set", "evaluate.turns=200", "--set", "evaluate.more_samples=0")
    run_id = rounds(house, models, *more)
    house.daemon()
    until(lambda: rows(house, "SELECT 1 FROM job WHERE name = 'turns'"), 900, "the second round is proposed")
    ((longest,),) = rows(house, "SELECT MAX(took_s) FROM job WHERE kind = 'evaluate' AND status = 'succeeded'")
    deadline = _draw_near(house, RESERVE_S + 1.5 * longest + 3)  # a model is loaded and asked a few questions, here
    house.settled(run_id, 180)
    jobs = house.run(run_id)["jobs"]
    assert {job["status"] for job in jobs} <= {"succeeded", "skipped"}, jobs
    assert [job["status"] for job in jobs if job["kind"] == "report"] == ["succeeded", "succeeded"]
    assert max(dt.datetime.fromisoformat(job["ended_at"]) for job in jobs) <= deadline
    ((kept,),) = rows(house, "SELECT COUNT(*) FROM reply WHERE round = 2")
    assert 0 < kept < 2 * 32, "some of the turns, not all"
    assert "the night's time was used up after" in json.dumps(jobs)
    assert "real turns" in (house.root / "var/results" / run_id / "REPORT.md").read_text().lower()


def _draw_near(house: House, seconds: float) -> dt.datetime:
    """Set the run's deadline that far from now: waiting for a real one would take the whole night of the test."""
    deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    with closing(sqlite3.connect(house.root / "var" / "jarvis.db", timeout=30)) as database:
        database.execute("UPDATE run SET deadline = ?", (deadline.isoformat(timespec="microseconds"),))
        database.commit()
    return deadline
