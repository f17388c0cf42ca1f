-- A comparison in rounds: real turns, what each layer says, votes, and more about each reply.
ALTER TABLE "evaluation" ADD COLUMN "first_reply_ms" REAL;
ALTER TABLE "evaluation" ADD COLUMN "process_mb" REAL;
ALTER TABLE "evaluation" ADD COLUMN "conditions" TEXT;
ALTER TABLE "reply" ADD COLUMN "round" INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "reply" ADD COLUMN "prompt_ids" TEXT;
ALTER TABLE "reply" ADD COLUMN "thinking" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "reply" ADD COLUMN "batched" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "reply" ADD COLUMN "inter_token_ms" REAL;
ALTER TABLE "reply" ADD COLUMN "characters_per_second" REAL;
ALTER TABLE "reply" ADD COLUMN "bits_per_character" REAL;
DROP INDEX "reply_job_id_scenario_id_prompt_sample";
CREATE UNIQUE INDEX "reply_run_id_model_scenario_id_prompt_sample" ON "reply" ("run_id", "model", "scenario_id", "prompt", "sample");
CREATE TABLE "cut" (
    "run_id" VARCHAR(255) NOT NULL PRIMARY KEY,
    "at" TEXT NOT NULL,
    "own_before" INTEGER NOT NULL,
    "turns_after" INTEGER NOT NULL,
    "chosen" INTEGER NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE TABLE "real_turn" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "place" INTEGER NOT NULL,
    "chat" INTEGER NOT NULL,
    "incoming" TEXT NOT NULL,
    "answer" TEXT NOT NULL,
    "sent_at" TEXT NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "real_turn_run_id" ON "real_turn" ("run_id");
CREATE UNIQUE INDEX "real_turn_run_id_place" ON "real_turn" ("run_id", "place");
CREATE TABLE "score" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "reply_id" INTEGER NOT NULL,
    "layer" VARCHAR(255) NOT NULL,
    "value" REAL NOT NULL,
    "parts" TEXT,
    FOREIGN KEY ("reply_id") REFERENCES "reply" ("id") ON DELETE CASCADE
);
CREATE INDEX "score_reply_id" ON "score" ("reply_id");
CREATE UNIQUE INDEX "score_reply_id_layer" ON "score" ("reply_id", "layer");
CREATE TABLE "yardstick" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "layer" VARCHAR(255) NOT NULL,
    "what" VARCHAR(255) NOT NULL,
    "value" REAL NOT NULL,
    "low" REAL,
    "high" REAL,
    "n" INTEGER NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "yardstick_run_id" ON "yardstick" ("run_id");
CREATE UNIQUE INDEX "yardstick_run_id_layer_what" ON "yardstick" ("run_id", "layer", "what");
CREATE TABLE "style_profile" (
    "run_id" VARCHAR(255) NOT NULL PRIMARY KEY,
    "document" TEXT NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE TABLE "vote" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "by" VARCHAR(255) NOT NULL,
    "left_id" INTEGER NOT NULL,
    "right_id" INTEGER NOT NULL,
    "choice" VARCHAR(255) NOT NULL,
    "created_at" TEXT NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("left_id") REFERENCES "reply" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("right_id") REFERENCES "reply" ("id") ON DELETE CASCADE
);
CREATE INDEX "vote_run_id" ON "vote" ("run_id");
CREATE INDEX "vote_left_id" ON "vote" ("left_id");
CREATE INDEX "vote_right_id" ON "vote" ("right_id");
CREATE UNIQUE INDEX "vote_by_left_id_right_id" ON "vote" ("by", "left_id", "right_id");
