-- Which models a round does not ask, and why.
CREATE TABLE "left_out" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "round" INTEGER NOT NULL,
    "model" VARCHAR(255) NOT NULL,
    "cause" VARCHAR(255) NOT NULL,
    "details" TEXT NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "left_out_run_id" ON "left_out" ("run_id");
CREATE UNIQUE INDEX "left_out_run_id_round_model" ON "left_out" ("run_id", "round", "model");
