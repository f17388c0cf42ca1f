"""What the database itself has seen: triggers of the test write every change of a job's row into a table of their own.

Write transactions follow one another, so the numbers of the entries are their order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.postgres import Cluster, name_of

#: The kind of job of tests/packages/pieces makes its table where it is missing; here it has a trigger.
_SCRIPT = """
CREATE TABLE piece (job INTEGER, number INTEGER, attempt INTEGER);
CREATE TABLE audit (
    n BIGSERIAL PRIMARY KEY, what TEXT, wrote TEXT, job BIGINT, before TEXT, status TEXT, attempt BIGINT, machine TEXT,
    token TEXT, work_began BOOLEAN, cancelled BOOLEAN, written_by BIGINT
);
CREATE FUNCTION note_job() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE before TEXT := NULL; outcome BIGINT := NULL;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := OLD.status;
        IF (OLD.status, OLD.attempt, OLD.work_began, OLD.cancel_requested, OLD.outcome) IS NOT DISTINCT FROM
           (NEW.status, NEW.attempt, NEW.work_began, NEW.cancel_requested, NEW.outcome) THEN
            RETURN NULL;
        END IF;
        IF NEW.outcome IS DISTINCT FROM OLD.outcome THEN
            outcome := (NEW.outcome::json ->> 'attempt')::BIGINT;
        END IF;
    END IF;
    INSERT INTO audit (what, wrote, job, before, status, attempt, machine, token, work_began, cancelled, written_by)
    VALUES ('job', current_setting('application_name'), NEW.id, before, NEW.status, NEW.attempt, NEW.machine, NEW.token,
            NEW.work_began, NEW.cancel_requested OR NEW.status = 'cancelled', outcome);
    RETURN NULL;
END $$;
CREATE TRIGGER note_job AFTER INSERT OR UPDATE ON job FOR EACH ROW EXECUTE FUNCTION note_job();
CREATE FUNCTION note_piece() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (what, wrote, job, before, status, attempt, machine, token, work_began, cancelled, written_by)
    SELECT 'piece', current_setting('application_name'), id, status, status, attempt, machine, token, work_began,
           cancel_requested, NEW.attempt FROM job WHERE id = NEW.job;
    RETURN NULL;
END $$;
CREATE TRIGGER note_piece AFTER INSERT ON piece FOR EACH ROW EXECUTE FUNCTION note_piece();
"""
_COLUMNS = "what, wrote, job, before, status, attempt, machine, token, work_began, cancelled, written_by"


@dataclass(frozen=True)
class Entry:
    """One write: of a job's row, or of a checkpoint ("piece")."""

    what: str
    wrote: str  #: the machine whose connection it was
    job: int
    before: str | None  #: the status before; null for a new row
    status: str
    attempt: int
    machine: str | None = None
    token: str | None = None
    work_began: bool = False
    cancelled: bool = False  #: it is, or it is to be
    written_by: int | None = None  #: the attempt that wrote the checkpoint or the outcome; null for anything else

    @property
    def is_claim(self) -> bool:
        return self.what == "job" and self.status == "running" and self.before != "running"


def begun(entries: list[Entry], names: dict[int, str]) -> Counter[str]:
    """By tag: the starts whose program was about to begin. `names`: by job."""
    starts = {(entry.job, entry.attempt) for entry in entries if entry.work_began}
    return Counter(names[job].rpartition(":")[2] for job, _ in starts if job in names)


def install(cluster: Cluster, url: str) -> None:
    """Add the triggers to a database that has jarvisd's tables. Each commit is kept when the server is killed."""
    cluster.sql(_SCRIPT, name_of(url))
    cluster.sql(f'ALTER DATABASE "{name_of(url)}" SET synchronous_commit = on')


def read(cluster: Cluster, url: str) -> list[Entry]:
    rows = cluster.sql(f"SELECT {_COLUMNS} FROM audit ORDER BY n", name_of(url))
    return [Entry(*row) for row in rows]  # type: ignore[arg-type]
