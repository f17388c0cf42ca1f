-- When a run may begin: not before an instant, and only after other jobs or runs. Its priority in the queue.
ALTER TABLE "run" ADD COLUMN "start_at" TEXT;
ALTER TABLE "run" ADD COLUMN "priority" INTEGER NOT NULL DEFAULT 0;
CREATE TABLE "dependency" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "of_run" VARCHAR(255) NOT NULL,
    "of_job" INTEGER,
    "any_end" INTEGER NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "dependency_run_id" ON "dependency" ("run_id");
CREATE INDEX "dependency_of_run" ON "dependency" ("of_run");
