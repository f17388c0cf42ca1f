"""The ledger: what is stored, who is next, which changes are legal, and who may write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import peewee
import pytest

from jarvisd.errors import IllegalTransition, StaleAttempt
from jarvisd.paths import Home
from jarvisd.store import database, models, queries, queue, transitions, wakeup
from jarvisd.store.models import SETTLED, Job, Run, Status
from tests import claiming
from tests.claiming import claimed, due, finish

MakeRun = Callable[..., Run]


def test_jobs_come_in_the_order_of_the_plan_and_the_report_last(make_run: MakeRun) -> None:
    make_run("report", "mine", "evaluate:a")
    names = []
    while (job := due()) is not None:
        names.append(job.name)
        finish(job)
    assert names == ["mine", "evaluate:a", "report"]


def test_a_run_with_a_deadline_goes_before_older_runs_without_one(make_run: MakeRun) -> None:
    make_run("mine", plan="old")
    later = make_run("mine", plan="later", deadline=database.now() + dt.timedelta(hours=9))
    sooner = make_run("mine", plan="sooner", deadline=database.now() + dt.timedelta(hours=3))
    order = []
    while (job := due()) is not None:
        order.append(job.run_id)
        finish(job)
    assert order == [sooner.id, later.id, "2026-11-22-old"]


@pytest.mark.parametrize("end", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.STOPPED])
def test_the_report_is_due_however_the_other_jobs_ended(make_run: MakeRun, end: Status) -> None:
    make_run("mine", "report")
    finish(claimed(), end)
    assert claimed().name == "report"


def test_the_report_is_not_due_while_another_job_waits_for_a_backoff(make_run: MakeRun) -> None:
    make_run("mine", "report")
    queue.requeue(claimed(), "again", starts_without_progress=1, not_before=database.now() + dt.timedelta(hours=1))
    assert due() is None


def test_no_second_job_is_claimed_while_one_runs_on_this_machine(make_run: MakeRun) -> None:
    make_run("mine", "evaluate:a")
    claimed()
    assert due() is None


def test_a_claim_counts_the_start_before_anything_else_happens(make_run: MakeRun) -> None:
    make_run("mine")
    job = Job.get_by_id(claimed().id)
    assert (job.status, job.attempt, job.starts_without_progress, job.machine) == (Status.RUNNING, 1, 1, "here")


@pytest.mark.parametrize("origin", list(Status))
@pytest.mark.parametrize("to", list(Status))
def test_only_the_changes_in_the_table_are_possible(make_run: MakeRun, origin: Status, to: Status) -> None:
    make_run("mine")
    Job.update(status=origin).execute()
    job = Job.get()
    if to in transitions.TRANSITIONS[origin]:
        transitions._change(job, to)
        assert Job.get().status == to
    else:
        with pytest.raises(IllegalTransition):
            transitions._change(job, to)
        assert Job.get().status == origin


def test_a_change_is_refused_when_another_process_was_first(make_run: MakeRun) -> None:
    make_run("mine")
    mine, other = Job.get(), Job.get()
    transitions.settle(other, Status.CANCELLED, None, database.now())
    with pytest.raises(IllegalTransition):
        transitions.settle(mine, Status.SKIPPED, None, database.now())


def test_a_child_of_an_earlier_attempt_can_write_nothing(make_run: MakeRun) -> None:
    make_run("mine")
    first = claimed()
    queue.requeue(first, None, starts_without_progress=1)
    second = claimed()
    with pytest.raises(StaleAttempt), transitions.fenced(first.id, first.attempt - 1):
        raise AssertionError("a stale attempt came through")
    with transitions.fenced(second.id, second.attempt):
        Job.update(note="current").execute()
    assert Job.get().note == "current"


def test_progress_of_an_earlier_attempt_is_refused(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    context = claiming.claim(home)
    queue.requeue(Job.get(), None, starts_without_progress=1)
    claimed()
    with pytest.raises(StaleAttempt):
        context.progress(13, 13, "reply")
    assert (Job.get().done, Job.get().note) == (None, None)


def test_a_committed_checkpoint_resets_the_count_of_starts_without_progress(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    for _ in range(transitions.MAX_STARTS_WITHOUT_PROGRESS + 1):
        context = claiming.claim(home)
        assert Job.get().starts_without_progress == 1
        with context.checkpoint():
            pass
        queue.requeue(Job.get(), "crashed")
    assert Job.get().starts_without_progress == 0


def test_a_fenced_write_that_fails_leaves_nothing(make_run: MakeRun) -> None:
    make_run("mine")
    job = claimed()
    with pytest.raises(ZeroDivisionError), transitions.fenced(job.id, job.attempt):
        Job.update(note="half").execute()
        raise ZeroDivisionError
    assert Job.get().note is None


def test_a_run_is_stored_with_its_jobs_and_messages_or_not_at_all(home: Home, make_run: MakeRun) -> None:
    huey = wakeup.messages("here").huey
    with pytest.raises(peewee.IntegrityError):
        make_run("mine", "mine")  # two jobs of one name
    assert (Run.select().count(), Job.select().count(), huey.storage.queue_size()) == (0, 0, 0)
    make_run("mine", "report")
    assert (Run.select().count(), Job.select().count(), huey.storage.queue_size()) == (1, 2, 1)


def test_settling_the_last_job_wakes_the_worker_for_the_report(make_run: MakeRun) -> None:
    huey = wakeup.messages("here").huey
    make_run("mine", "report")
    huey.storage.flush_queue()
    finish(claimed())
    assert huey.storage.queue_size() == 1


def silent(make_run: MakeRun) -> Any:
    """A night of which the first job runs and no message is in the queue; its storage."""
    make_run("mine", "evaluate:a", "report", deadline=database.now() + dt.timedelta(hours=9))
    claimed()
    huey = wakeup.messages("here").huey
    huey.storage.flush_queue()
    return huey.storage


def put_back(job: Job) -> None:
    queue.requeue(job, "interrupted", starts_without_progress=0)


def skip_the_rest(job: Job) -> None:
    transitions.settle(job, Status.SUCCEEDED, None, database.now())
    queue.skip(queries.waiting_jobs(job.run), "too late", database.now())


def cancel_the_rest(job: Job) -> None:
    transitions.settle(job, Status.SUCCEEDED, None, database.now())
    queue.cancel(queries.waiting_jobs(job.run), database.now())


def fail_and_retry(job: Job) -> None:
    transitions.settle(job, Status.FAILED, None, database.now())
    queue.retry([job])


def pause_and_resume(_job: Job) -> None:
    queue.pause("here", database.now(), None)
    queue.resume("here")


@pytest.mark.parametrize("happens", [put_back, skip_the_rest, cancel_the_rest, fail_and_retry, pause_and_resume])
def test_whatever_makes_a_row_due_wakes_the_worker(make_run: MakeRun, happens: Callable[[Job], None]) -> None:
    """The daemon would look by itself, but only half a minute later."""
    storage = silent(make_run)
    happens(Job.get(name="mine"))
    assert storage.queue_size() >= 1


def test_polling_wakes_the_worker_for_a_due_job_unless_a_message_is_queued_already(make_run: MakeRun) -> None:
    make_run("mine")
    huey = wakeup.messages("here").huey
    huey.storage.flush_queue()
    assert wakeup.wake_if_due("here")
    assert not wakeup.wake_if_due("here")
    assert huey.storage.queue_size() == 1


def test_cancelling_a_run_settles_what_waits_and_asks_what_runs(make_run: MakeRun) -> None:
    run = make_run("mine", "evaluate:a", "report", unique_key="test@2026-11-22")
    job = claimed()
    ended = queue.cancel_run(run, database.now())
    assert len(ended) == 3
    assert queries.cancel_wanted(job.id)
    assert [row.status for row in queries.jobs_of(run)] == ["running", "cancelled", "cancelled"]
    assert Run.get().unique_key is None


def test_retrying_a_job_queues_the_report_again_but_never_a_cancelled_one(make_run: MakeRun) -> None:
    run = make_run("mine", "report", deadline=database.now() + dt.timedelta(hours=1))
    finish(claimed(), Status.FAILED)
    finish(claimed())
    mine, report = queries.jobs_of(run)
    assert [job.name for job in queue.retry([mine])] == ["mine", "report"]
    assert Run.get().deadline is None
    queue.cancel([report], database.now())
    finish(claimed(), Status.FAILED)
    assert [job.name for job in queue.retry([queries.jobs_of(run)[0]])] == ["mine"]


def test_retry_keeps_results_and_fresh_removes_them(make_run: MakeRun) -> None:
    from jobs.lib.results.tables import Mining

    run = make_run("mine")
    finish(claimed(), Status.FAILED)
    job = Job.get()
    Mining.create(job=job, run=run, stats={}, config={}, curve=[])
    queue.retry([job])
    assert Mining.select().count() == 1
    finish(claimed(), Status.FAILED)
    queue.retry([Job.get()], fresh=True)
    assert Mining.select().count() == 0
    assert (Job.get().id, Job.get().attempt) == (job.id, 2)


def test_a_paused_machine_claims_again_when_its_time_is_over(make_run: MakeRun) -> None:
    at = database.now()
    queue.pause("here", at, at + dt.timedelta(hours=2))
    assert queries.paused("here", at)
    assert not queries.paused("elsewhere", at)
    assert not queries.paused("here", at + dt.timedelta(hours=3))
    assert queue.resume("here")
    assert not queries.paused("here", at)
    assert not queue.resume("here")


def test_instants_sort_as_text_whatever_their_zone(make_run: MakeRun) -> None:
    east = dt.timezone(dt.timedelta(hours=9))
    early, late = dt.datetime(2026, 11, 22, 8, tzinfo=east), dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC)
    make_run("mine", plan="late", deadline=late)
    make_run("mine", plan="early", deadline=early)
    assert [run.plan for run in Run.select().order_by(Run.deadline)] == ["early", "late"]
    assert Run.get(Run.plan == "early").deadline == early


def test_every_status_is_open_or_settled() -> None:
    assert set(models.OPEN) | set(SETTLED) == set(Status)


def test_a_change_that_speaks_of_an_earlier_attempt_is_refused(make_run: MakeRun) -> None:
    """The job was put back and started again since that row was read: it runs, but it is not that run of it."""
    make_run("mine")
    earlier = Job.get_by_id(claimed().id)
    queue.requeue(Job.get_by_id(earlier.id), None, starts_without_progress=1)
    claimed()
    with pytest.raises(IllegalTransition):
        transitions.settle(earlier, Status.FAILED, "it crashed", database.now())
    assert (Job.get().status, Job.get().attempt) == (Status.RUNNING, 2)


def test_of_many_rows_none_is_changed_when_one_is_no_longer_as_it_was_read(make_run: MakeRun) -> None:
    make_run("mine", "evaluate:a")
    rows = list(Job.select().order_by(Job.id))
    transitions.settle(Job.get_by_id(rows[0].id), Status.CANCELLED, None, database.now())
    with pytest.raises(IllegalTransition):
        transitions.end_queued(rows, Status.SKIPPED, "too late", database.now())
    assert [str(job.status) for job in Job.select().order_by(Job.id)] == ["cancelled", "queued"]


def test_what_was_cancelled_meanwhile_is_not_put_off(make_run: MakeRun) -> None:
    make_run("mine", "evaluate:a")
    rows = list(Job.select().order_by(Job.id))
    queue.cancel([rows[0]], database.now())
    transitions.defer(rows, "waiting for power", until=database.now(), since=database.now())
    assert [job.reason for job in Job.select().order_by(Job.id)] == ["cancelled by you", "waiting for power"]


def test_a_planted_word_that_would_revoke_every_message_is_dropped_at_the_next_look(make_run: MakeRun) -> None:
    looks: list[int] = []
    messages = wakeup.messages("here")
    messages.on_wakeup = lambda: looks.append(1)
    huey = messages.huey
    huey.storage.put_data(huey._task_key(messages.send.task_class, "rt"), b"[null, false]")
    make_run("mine")
    wakeup.wake_if_due("here")
    huey.execute(huey.dequeue())
    assert looks == [1]


def test_a_start_removes_foreign_messages_from_the_queue(make_run: MakeRun) -> None:
    make_run("mine")
    huey = wakeup.messages("here").huey
    huey.storage.enqueue(b"cos\nsystem\n(S'true'\ntR.", priority=9)
    huey.storage.add_to_schedule(b"{", database.now())
    huey.storage.put_data("r:wake_up", b"x")
    assert wakeup.requeue_wakeups("here") == 1
    assert (huey.storage.queue_size(), huey.storage.schedule_size(), huey.storage.result_store_size()) == (1, 0, 0)
    assert huey.dequeue().name == "wake_up"
