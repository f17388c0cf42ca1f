-- The lines of a run's log, where the database is on a server: several computers write them, and any shows them.
CREATE TABLE "run_line" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "at" TEXT NOT NULL,
    "text" TEXT NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "run_line_run_id" ON "run_line" ("run_id");
