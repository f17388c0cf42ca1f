"""Count the words of a folder's text files, one checkpoint per file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import peewee

from jarvisd.plugin import Job, JobContext, JobFailed, JSONText, Outcome, Record, db, write

#: With less time left than this, in seconds, no further file is started.
SPARE_S = 10


class Counted(Record):
    """One counted file. `prune` and `retry --fresh` delete it with its job."""

    job = peewee.ForeignKeyField(Job, on_delete="CASCADE")
    name = peewee.TextField()
    words = JSONText()

    class Meta:
        table_name = "wordcount_counted"
        primary_key = peewee.CompositeKey("job", "name")


def run(context: JobContext) -> Outcome:
    """Count what is not counted yet. Runs in its own process; after a crash it is called again."""
    files = sorted(Path(context.params["folder"]).glob("*.txt"))
    if not files:
        raise JobFailed(f"{context.params['folder']} holds no .txt file", "Name another folder in wordcount.folder.")
    with write():
        db.create_tables([Counted])
    done = {row.name for row in Counted.select().where(Counted.job == context.job_id)}
    context.log.info("%d of %d files are counted already", len(done), len(files))
    for file in files:
        if file.name in done:
            continue
        if context.should_stop():
            return Outcome(ok=False, reason=f"asked to stop after {len(done)} of {len(files)} files")
        if context.seconds_left() < SPARE_S:
            break
        words = Counter(file.read_text(errors="replace").lower().split())
        with context.checkpoint():
            Counted.create(job=context.job_id, name=file.name, words=words)
        done.add(file.name)
        context.progress(len(done), len(files), "file")
    return _finish(context, len(done), len(files))


def _finish(context: JobContext, done: int, total: int) -> Outcome:
    words: Counter[str] = Counter()
    for row in Counted.select().where(Counted.job == context.job_id):
        words.update(row.words)
    summary = {"files": done, "words": words.total()}
    top = words.most_common(context.params["top"])
    context.publish("wordcount.json", json.dumps({**summary, "top": top}, indent=2, ensure_ascii=False) + "\n")
    return Outcome(reason="" if done == total else f"time was up after {done} of {total} files", summary=summary)
