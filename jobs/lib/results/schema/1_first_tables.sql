-- What jobs found: mining, templates, evaluations, replies. Released with 0.1.0 and never changed since.
CREATE TABLE "mining" (
    "job_id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "stats" TEXT NOT NULL,
    "config" TEXT NOT NULL,
    "curve" TEXT NOT NULL,
    FOREIGN KEY ("job_id") REFERENCES "job" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "mining_run_id" ON "mining" ("run_id");
CREATE TABLE "template" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "uuid" VARCHAR(255) NOT NULL,
    "job_id" INTEGER NOT NULL,
    "run_id" VARCHAR(255) NOT NULL,
    "rank" INTEGER NOT NULL,
    "representative" TEXT NOT NULL,
    "frequency" INTEGER NOT NULL,
    "uses" INTEGER NOT NULL,
    "people" INTEGER NOT NULL,
    "examples" TEXT NOT NULL,
    "triggers" TEXT NOT NULL,
    "tier" VARCHAR(255) NOT NULL,
    "threshold" REAL,
    "precision" REAL,
    "precision_low" REAL,
    "fired" INTEGER NOT NULL,
    "right" INTEGER NOT NULL,
    FOREIGN KEY ("job_id") REFERENCES "job" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "template_job_id" ON "template" ("job_id");
CREATE INDEX "template_run_id" ON "template" ("run_id");
CREATE UNIQUE INDEX "template_job_id_uuid" ON "template" ("job_id", "uuid");
CREATE TABLE "evaluation" (
    "job_id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "model" VARCHAR(255) NOT NULL,
    "info" TEXT NOT NULL,
    "load_time_s" REAL NOT NULL,
    "load_peak_mb" REAL,
    FOREIGN KEY ("job_id") REFERENCES "job" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "evaluation_run_id" ON "evaluation" ("run_id");
CREATE TABLE "reply" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "job_id" INTEGER NOT NULL,
    "run_id" VARCHAR(255) NOT NULL,
    "model" VARCHAR(255) NOT NULL,
    "scenario_id" VARCHAR(255) NOT NULL,
    "prompt" INTEGER NOT NULL,
    "sample" INTEGER NOT NULL,
    "context" TEXT NOT NULL,
    "instruction" TEXT NOT NULL,
    "rendered" TEXT NOT NULL,
    "seed" INTEGER NOT NULL,
    "reply" TEXT NOT NULL,
    "success" INTEGER NOT NULL,
    "failure" TEXT,
    "checks" TEXT NOT NULL,
    "quality" REAL NOT NULL,
    "prompt_tokens" INTEGER,
    "tokens" INTEGER,
    "ttft_ms" REAL,
    "latency_ms" REAL,
    "tokens_per_second" REAL,
    "finish_reason" VARCHAR(255),
    "peak_memory_mb" REAL,
    "created_at" TEXT NOT NULL,
    FOREIGN KEY ("job_id") REFERENCES "job" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "reply_job_id" ON "reply" ("job_id");
CREATE INDEX "reply_run_id" ON "reply" ("run_id");
CREATE UNIQUE INDEX "reply_job_id_scenario_id_prompt_sample" ON "reply" ("job_id", "scenario_id", "prompt", "sample");
