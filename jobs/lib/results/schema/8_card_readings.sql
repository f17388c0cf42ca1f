-- What a local model says of the cards of a review; like the owner's answers it belongs to texts and outlasts the runs.
CREATE TABLE "card_reading" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "turn" VARCHAR(255) NOT NULL,
    "template" VARCHAR(255) NOT NULL,
    "judge" VARCHAR(255) NOT NULL,
    "chance" REAL NOT NULL,
    "block" VARCHAR(255),
    "created_at" TEXT NOT NULL
);
CREATE UNIQUE INDEX "card_reading_turn_template_judge" ON "card_reading" ("turn", "template", "judge");
