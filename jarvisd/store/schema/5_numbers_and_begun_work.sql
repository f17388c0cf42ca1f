-- Ids that stay unique when rows are pruned; whether an attempt has begun its job's own work.
CREATE TABLE "given_run" ("id" VARCHAR(255) NOT NULL PRIMARY KEY);
INSERT INTO "given_run" ("id") SELECT "id" FROM "run";
CREATE TABLE "last_number" ("name" VARCHAR(255) NOT NULL PRIMARY KEY, "number" INTEGER NOT NULL);
INSERT INTO "last_number" ("name", "number") SELECT 'run', COALESCE(MAX("number"), 0) FROM "run";
INSERT INTO "last_number" ("name", "number") SELECT 'job', COALESCE(MAX("id"), 0) FROM "job";
ALTER TABLE "job" ADD COLUMN "work_began" INTEGER NOT NULL DEFAULT 0;
UPDATE "job" SET "work_began" = 1 WHERE "status" = 'running';
