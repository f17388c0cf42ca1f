-- The ranker of a mining, one per space of vectors, and what it drafted on turns that it was not trained on.
CREATE TABLE "ranking" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "job_id" INTEGER NOT NULL,
    "run_id" VARCHAR(255) NOT NULL,
    "space" VARCHAR(255) NOT NULL,
    "weights" BLOB NOT NULL,
    "figures" TEXT NOT NULL,
    FOREIGN KEY ("job_id") REFERENCES "job" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "ranking_job_id" ON "ranking" ("job_id");
CREATE INDEX "ranking_run_id" ON "ranking" ("run_id");
CREATE UNIQUE INDEX "ranking_job_id_space" ON "ranking" ("job_id", "space");
CREATE TABLE "held_out_draft" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "job_id" INTEGER NOT NULL,
    "run_id" VARCHAR(255) NOT NULL,
    "place" INTEGER NOT NULL,
    "chat" INTEGER NOT NULL,
    "sent_at" TEXT NOT NULL,
    "previous" TEXT,
    "incoming" TEXT NOT NULL,
    "answer" TEXT,
    "drafts" TEXT NOT NULL,
    "probability" REAL NOT NULL,
    FOREIGN KEY ("job_id") REFERENCES "job" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "held_out_draft_job_id" ON "held_out_draft" ("job_id");
CREATE INDEX "held_out_draft_run_id" ON "held_out_draft" ("run_id");
CREATE UNIQUE INDEX "held_out_draft_job_id_place" ON "held_out_draft" ("job_id", "place");
