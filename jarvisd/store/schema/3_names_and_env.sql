-- Columns that say what they hold; an environment per job in place of one library's switch; a column that none wrote.
-- Jobs queued before this version run without that library: only slower, and only on Linux.
ALTER TABLE "job" RENAME COLUMN "attempts" TO "max_attempts";
ALTER TABLE "job" RENAME COLUMN "attempts_from" TO "attempt_base";
ALTER TABLE "job" RENAME COLUMN "fruitless" TO "starts_without_progress";
ALTER TABLE "job" DROP COLUMN "preload_blas";
ALTER TABLE "job" ADD COLUMN "env" TEXT NOT NULL DEFAULT '{}';
ALTER TABLE "machine" DROP COLUMN "daemon";
