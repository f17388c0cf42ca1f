-- Runs, jobs, machines. Released with 0.1.0 and never changed since; the tables of the queue are made beside them.
CREATE TABLE "run" (
    "id" VARCHAR(255) NOT NULL PRIMARY KEY,
    "number" INTEGER NOT NULL,
    "plan" VARCHAR(255) NOT NULL,
    "title" TEXT NOT NULL,
    "night" VARCHAR(255) NOT NULL,
    "created_at" TEXT NOT NULL,
    "deadline" TEXT,
    "unique_key" VARCHAR(255),
    "snapshot" TEXT NOT NULL,
    "warnings" TEXT NOT NULL,
    "started_at" TEXT
);
CREATE UNIQUE INDEX "run_number" ON "run" ("number");
CREATE UNIQUE INDEX "run_unique_key" ON "run" ("unique_key");
CREATE TABLE "job" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "name" VARCHAR(255) NOT NULL,
    "kind" VARCHAR(255) NOT NULL,
    "place" INTEGER NOT NULL,
    "round" INTEGER NOT NULL,
    "params" TEXT NOT NULL,
    "status" VARCHAR(255) NOT NULL,
    "reason" TEXT,
    "memory_mb" INTEGER NOT NULL,
    "timeout_s" INTEGER,
    "attempts" INTEGER,
    "attempts_from" INTEGER NOT NULL,
    "preload_blas" INTEGER NOT NULL,
    "attempt" INTEGER NOT NULL,
    "fruitless" INTEGER NOT NULL,
    "not_before" TEXT,
    "waiting_since" TEXT,
    "machine" VARCHAR(255),
    "pid" INTEGER,
    "pid_started" REAL,
    "boot_id" VARCHAR(255),
    "token" VARCHAR(255),
    "cancel_requested" INTEGER NOT NULL,
    "done" INTEGER,
    "total" INTEGER,
    "note" TEXT,
    "outcome" TEXT,
    "peak_memory_mb" INTEGER,
    "exit_code" INTEGER,
    "started_at" TEXT,
    "ended_at" TEXT,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "job_run_id" ON "job" ("run_id");
CREATE INDEX "job_status" ON "job" ("status");
CREATE UNIQUE INDEX "job_run_id_name_round" ON "job" ("run_id", "name", "round");
CREATE TABLE "machine" (
    "id" VARCHAR(255) NOT NULL PRIMARY KEY,
    "paused_since" TEXT,
    "paused_until" TEXT,
    "daemon" TEXT
);
