"""Clocks that jump, nights of 23 and 25 hours, a computer that sleeps: none of it kills a job or does one twice."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvisd import logs
from jarvisd.daemon.attempt import EndReason
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.host import power
from jarvisd.paths import Home
from jarvisd.plan import times
from jarvisd.plan.settings import Memory, Power, Settings
from jarvisd.store import database, queries, queue, transitions
from jarvisd.store.models import Job, Run, Status
from tests.claiming import claimed

MakeRun = Callable[..., Run]
HOUR = dt.timedelta(hours=1)
#: (zone, the evening before the change, hours from 22:00 to 07:00)
CHANGES = [
    ("Europe/Berlin", "2026-03-28", 8),
    ("Europe/Berlin", "2026-10-24", 10),
    ("America/New_York", "2026-03-07", 8),
    ("America/New_York", "2026-10-31", 10),
]


class Clock:
    """The wall clock as `ledger.now` reads it. Somebody may set it; time.monotonic is not touched by that."""

    def __init__(self) -> None:
        self.at = dt.datetime(2026, 11, 22, 22, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(database, "now", made)
    return made


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ZoneInfo]]:
    def choose(name: str) -> ZoneInfo:
        monkeypatch.setenv("TZ", name)
        time.tzset()
        return ZoneInfo(name)

    yield choose
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def supervisor(home: Home) -> Supervisor:
    return Supervisor(home, "here", Settings(), threading.Event())


# ------------------------------------------------------------------------------------------- nights that are not 24 h


@pytest.mark.parametrize(("name", "evening", "hours"), CHANGES)
def test_a_deadline_is_the_wall_clock_of_the_morning_when_the_clocks_change(
    zone: Callable[[str], ZoneInfo], name: str, evening: str, hours: int
) -> None:
    here = zone(name)
    start = dt.datetime.fromisoformat(f"{evening}T22:00").replace(tzinfo=here)
    end = times.deadline("07:00", start.astimezone(dt.UTC))
    assert end - start.astimezone(dt.UTC) == dt.timedelta(hours=hours)
    assert end.astimezone(here).strftime("%H:%M") == "07:00"


@pytest.mark.parametrize(("name", "evening", "_hours"), CHANGES)
def test_a_night_with_a_change_of_clocks_has_one_date(
    zone: Callable[[str], ZoneInfo], name: str, evening: str, _hours: int
) -> None:
    """From 22:00 to 10:00, each quarter of an hour that there is, the hour that comes twice included."""
    here = zone(name)
    start = dt.datetime.fromisoformat(f"{evening}T22:00").replace(tzinfo=here).astimezone(dt.UTC)
    moments = [start + dt.timedelta(minutes=15 * n) for n in range(60)]
    night = {times.night_of(moment) for moment in moments if moment.astimezone(here).hour not in (11, 12, 13)}
    assert night == {evening}


@given(
    name=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    ahead=st.integers(0, 2 * 366 * 24 * 60).map(lambda minutes: dt.timedelta(minutes=minutes)),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_a_deadline_lies_ahead_and_within_25_hours_and_shows_its_time_where_that_exists(
    name: str, ahead: dt.timedelta, hour: int, minute: int
) -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + ahead
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        try:
            end = times.deadline(f"{hour:02}:{minute:02}", moment)
        finally:
            patch.undo()
            time.tzset()
    assert dt.timedelta(0) < end - moment <= dt.timedelta(hours=25)
    shown = end.astimezone(ZoneInfo(name))
    wanted = shown.replace(hour=hour, minute=minute, second=0, microsecond=0)
    exists = wanted.astimezone(dt.UTC).astimezone(ZoneInfo(name)).strftime("%H:%M") == f"{hour:02}:{minute:02}"
    assert not exists or shown.strftime("%H:%M") == f"{hour:02}:{minute:02}"


@pytest.mark.parametrize(("took_min", "reserve_min"), [(None, 5), (1, 5), (10, 20), (180, 30)])
def test_before_the_deadline_there_is_time_for_the_report_as_long_as_the_last_one_took_and_more(
    make_run: MakeRun, clock: Clock, took_min: int | None, reserve_min: int
) -> None:
    """Twice as long; but one that seemed to take hours has slept through them."""
    make_run("report", plan="overnight")
    if took_min is not None:
        queue.settle(claimed(clock.at), Status.SUCCEEDED, None, clock.at, took_s=took_min * 60)
    run = make_run("mine", "report", plan="overnight", deadline=clock.at + 9 * HOUR)
    assert queries.soft_deadline(run, 5) == clock.at + 9 * HOUR - dt.timedelta(minutes=reserve_min)


# ----------------------------------------------------------------------------------------------- clocks that are set


@pytest.mark.parametrize("jump", [-30, -3, 3, 30], ids=lambda hours: f"{hours} h")
def test_a_clock_that_jumps_ends_no_job_that_has_a_time_limit(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock, jump: int
) -> None:
    make_run("command:x")
    Job.update(timeout_s=60).execute()
    watch = supervisor.attempt(claimed(clock.at))
    clock.at += jump * HOUR
    assert watch._reason_to_end() is None


def test_a_time_limit_is_measured_by_the_monotonic_clock(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock
) -> None:
    make_run("command:x")
    Job.update(timeout_s=60).execute()
    watch = supervisor.attempt(claimed(clock.at))
    watch.began -= 61
    assert watch._reason_to_end() is EndReason.TIMEOUT


def test_a_backoff_that_a_clock_set_back_has_moved_away_is_over(make_run: MakeRun, clock: Clock) -> None:
    make_run("mine")
    queue.requeue(
        claimed(clock.at), "crashed", starts_without_progress=1, not_before=clock.at + dt.timedelta(seconds=30)
    )
    assert transitions.claim("here", "boot", clock.at) is None
    assert not queries.wait_is_over(clock.at)
    clock.at -= 5 * HOUR
    assert queries.wait_is_over(clock.at)
    assert claimed(clock.at).attempt == 2


def test_a_running_job_is_not_claimed_a_second_time_whatever_the_clock_says(make_run: MakeRun, clock: Clock) -> None:
    make_run("mine", "evaluate:a")
    claimed(clock.at)
    for jump in (-30, 60, 24 * 365):
        clock.at += jump * HOUR
        assert transitions.claim("here", "boot", clock.at) is None


def test_waiting_for_memory_ends_although_the_clock_was_set_back_meanwhile(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock
) -> None:
    supervisor.settings = Settings(memory=Memory(wait_minutes=20, look_every_s=30))
    make_run("mine")
    Job.update(memory_mb=10**8).execute()
    assert supervisor._defer_if_blocked(Job.get(), clock.at)
    clock.at -= 5 * HOUR
    looks = 0
    while Job.get().status == Status.QUEUED:
        assert supervisor._defer_if_blocked(Job.get(), clock.at)
        clock.at += dt.timedelta(seconds=31)
        looks += 1
        assert looks < 60, "it waits for the five hours too"
    assert Job.get().status == Status.SKIPPED


def test_waiting_for_memory_is_not_cut_short_by_hours_of_sleep(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock
) -> None:
    make_run("mine")
    Job.update(memory_mb=10**8).execute()
    assert supervisor._defer_if_blocked(Job.get(), clock.at)
    clock.at += 6 * HOUR
    assert supervisor._defer_if_blocked(Job.get(), clock.at)
    assert Job.get().status == Status.QUEUED


def test_without_the_plug_a_whole_run_waits_at_once_and_is_given_up_at_once(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[dt.datetime] = []
    monkeypatch.setattr(power, "power", lambda: looks.append(clock.at) or ("battery", 50))
    supervisor.settings = Settings(power=Power(on_battery="wait", wait_minutes=2), memory=Memory(look_every_s=61))
    make_run("mine", "evaluate:a", "evaluate:b", "report")
    while not supervisor.stopping.is_set() and Job.select().where(Job.status == Status.QUEUED).count() > 1:
        due = queries.next_due("here", clock.at)
        assert due is None or supervisor._defer_if_blocked(due, clock.at)
        if due is None:
            assert {job.reason for job in Job.select().where(Job.kind != "report")} == {
                "waiting for power: on battery, which holds 50 %"
            }
            clock.at += dt.timedelta(seconds=62)
    assert len(looks) == 3, "one question a look, however many jobs wait"
    assert [str(job.status) for job in Job.select().order_by(Job.id)] == ["skipped", "skipped", "skipped", "queued"]
    assert claimed(clock.at).kind == "report"


def test_a_report_waits_neither_for_the_plug_nor_for_memory(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power, "power", lambda: ("battery", 5))
    supervisor.settings = Settings(power=Power(on_battery="skip"))
    make_run("report")
    Job.update(memory_mb=10**8).execute()
    assert not supervisor._defer_if_blocked(Job.get(), clock.at)
    assert Job.get().status == Status.QUEUED


def test_a_job_that_became_next_during_the_look_is_not_started_unlooked_at(make_run: MakeRun, clock: Clock) -> None:
    make_run("mine")
    looked_at = queries.next_due("here", clock.at)
    make_run("mine", plan="urgent", deadline=clock.at + 2 * HOUR)
    assert transitions.claim("here", "boot", clock.at, admitted=looked_at) is None
    assert Job.select().where(Job.status == Status.QUEUED).count() == 2


def test_what_was_cancelled_while_the_deadline_was_looked_at_stays_cancelled(make_run: MakeRun, clock: Clock) -> None:
    run = make_run("mine", "evaluate:a", "report")
    waiting = queries.waiting_jobs(run)
    queue.cancel([job for job in waiting if job.name == "mine"], clock.at)
    assert [job.name for job in queue.skip(waiting, "too late", clock.at)] == ["evaluate:a"]
    assert Job.get(name="mine").status == Status.CANCELLED


def test_a_run_that_its_owner_cancels_during_the_look_is_told_to_have_ended_by_nobody_else(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock
) -> None:
    run = make_run("mine", "report")
    waiting = queries.waiting_jobs(run)
    queue.cancel_run(run, clock.at)
    supervisor._skip(run, waiting, "too late", clock.at)
    assert not logs.run_log(supervisor.home, run.id).exists()


# ---------------------------------------------------------------------------------------------- a computer that sleeps


def test_after_sleeping_through_the_deadline_the_report_comes_first(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock
) -> None:
    make_run("mine", "evaluate:a", "report", deadline=clock.at + 9 * HOUR)
    make_run("mine", "report", plan="other")
    watch = supervisor.attempt(claimed(clock.at))
    clock.at += 15 * HOUR
    assert watch._reason_to_end() is EndReason.DEADLINE
    watch.finish(EndReason.DEADLINE, -15)
    supervisor._skip_overdue(clock.at)
    assert [str(job.status) for job in queries.jobs_of(watch.job.run)] == ["stopped", "skipped", "queued"]
    first = claimed(clock.at)
    assert (first.kind, first.run_id) == ("report", watch.job.run_id)
    assert supervisor.attempt(first)._reason_to_end() is None


@pytest.mark.parametrize(("left_s", "status"), [(2, "skipped"), (4, "queued")])
def test_a_job_that_could_not_even_start_before_its_run_must_end_is_not_begun(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock, left_s: int, status: str
) -> None:
    run = make_run("mine", "report", deadline=clock.at + HOUR)
    limit = supervisor.limit(run)
    assert limit is not None
    supervisor._skip_overdue(limit - dt.timedelta(seconds=left_s))
    assert [str(job.status) for job in queries.jobs_of(run)] == [status, "queued"]


def test_six_hours_of_sleep_in_the_middle_of_a_job_change_nothing(
    make_run: MakeRun, supervisor: Supervisor, clock: Clock
) -> None:
    make_run("mine", "report", deadline=clock.at + 9 * HOUR)
    watch = supervisor.attempt(claimed(clock.at))
    clock.at += 6 * HOUR
    assert watch._reason_to_end() is None
    assert transitions.claim("here", "boot", clock.at) is None
    assert Job.get().attempt == 1
    watch._settle(Status.FAILED, "as a test wants", 1)
    assert (Job.get().ended_at - Job.get().started_at) >= 6 * HOUR
    assert Job.get().took_s < 60, "the hours of sleep are not its work"
