-- The order in which jobs were started, counted and not read from a clock that may be wrong.
ALTER TABLE "job" ADD COLUMN "start_number" INTEGER;
UPDATE "job" SET "start_number" = (
    SELECT COUNT(*) FROM "job" AS "other" WHERE "other"."started_at" < "job"."started_at"
) + 1 WHERE "started_at" IS NOT NULL;
CREATE INDEX "job_start_number" ON "job" ("start_number");
