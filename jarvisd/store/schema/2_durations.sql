-- How long a job's last attempt took, by a clock that stands still while the computer sleeps. Of older jobs only the
-- wall clock is known.
ALTER TABLE "job" ADD COLUMN "took_s" REAL;
UPDATE "job" SET "took_s" = ROUND((JULIANDAY("ended_at") - JULIANDAY("started_at")) * 86400, 3)
    WHERE "status" IN ('succeeded', 'failed', 'stopped') AND "started_at" <= "ended_at";
