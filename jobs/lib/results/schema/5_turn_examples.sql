-- Earlier turns that show every model of a run how the owner answers.
CREATE TABLE "turn_example" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "run_id" VARCHAR(255) NOT NULL,
    "place" INTEGER NOT NULL,
    "incoming" TEXT NOT NULL,
    "answer" TEXT NOT NULL,
    FOREIGN KEY ("run_id") REFERENCES "run" ("id") ON DELETE CASCADE
);
CREATE INDEX "turn_example_run_id" ON "turn_example" ("run_id");
CREATE UNIQUE INDEX "turn_example_run_id_place" ON "turn_example" ("run_id", "place");
