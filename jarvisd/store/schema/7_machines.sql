-- Several computers, one queue: what each is and when it was last seen; where a job may run; where a run was submitted.
ALTER TABLE "machine" ADD COLUMN "name" VARCHAR(255);
ALTER TABLE "machine" ADD COLUMN "seen_at" TEXT;
ALTER TABLE "machine" ADD COLUMN "turned_at" TEXT;
ALTER TABLE "machine" ADD COLUMN "version" VARCHAR(255);
ALTER TABLE "machine" ADD COLUMN "facts" TEXT;
ALTER TABLE "run" ADD COLUMN "machine" VARCHAR(255);
ALTER TABLE "job" ADD COLUMN "pinned_to" VARCHAR(255);
ALTER TABLE "job" ADD COLUMN "needs" TEXT;
ALTER TABLE "job" ADD COLUMN "may_move" INTEGER NOT NULL DEFAULT 0;
