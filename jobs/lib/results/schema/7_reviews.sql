-- The owner's judgements of drafts and templates; they belong to texts and outlast the runs.
CREATE TABLE "draft_review" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "turn" VARCHAR(255) NOT NULL,
    "template" VARCHAR(255) NOT NULL,
    "reply" TEXT NOT NULL,
    "incoming" TEXT NOT NULL,
    "answer" VARCHAR(255) NOT NULL,
    "run" VARCHAR(255) NOT NULL,
    "created_at" TEXT NOT NULL
);
CREATE UNIQUE INDEX "draft_review_turn_template" ON "draft_review" ("turn", "template");
CREATE TABLE "template_review" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "template" VARCHAR(255) NOT NULL,
    "reply" TEXT NOT NULL,
    "verdict" VARCHAR(255) NOT NULL,
    "edited" TEXT,
    "created_at" TEXT NOT NULL
);
CREATE UNIQUE INDEX "template_review_template" ON "template_review" ("template");
