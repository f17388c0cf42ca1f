"""What jobs found, in the ledger's own database: rows that belong to a run and a job and go with them."""

from __future__ import annotations

import peewee

from jarvisd.ledger import InstantField, Job, JSONText, Record, Run, database


class Mining(Record):
    """One finished mining: the figures of templates.json's `stats`, its `config`, and the coverage curve."""

    job = peewee.ForeignKeyField(Job, primary_key=True, on_delete="CASCADE")
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    stats = JSONText()
    config = JSONText()
    curve = JSONText()  #: [{"templates": k, "in_sample": share, "held_out": share | null}, ...]


class Template(Record):
    """A reply worth keeping ready."""

    uuid = peewee.CharField()  #: of the text alone: the same template has the same one every night
    job = peewee.ForeignKeyField(Job, on_delete="CASCADE")
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    rank = peewee.IntegerField()  #: order of choice, from 1: each adds the most coverage to those before it
    representative = peewee.TextField()
    frequency = peewee.IntegerField()  #: messages within the similarity of it
    uses = peewee.IntegerField()  #: messages that say exactly this, after normalisation
    people = peewee.IntegerField()
    examples = JSONText()
    triggers = JSONText()  #: incoming texts that may fire it; of a phrase, those that led to it, which may not
    tier = peewee.CharField()  #: automatic | suggest | phrase
    threshold = peewee.FloatField(null=True)  #: cosine of the matcher from which our own index answers with it
    precision = peewee.FloatField(null=True)  #: right / fired, None where it never fired on a held-out turn
    precision_low = peewee.FloatField(null=True)  #: lower end of its Wilson interval
    fired = peewee.IntegerField(default=0)  #: held-out turns
    right = peewee.IntegerField(default=0)

    class Meta:
        indexes = ((("job", "uuid"), True),)


class Evaluation(Record):
    """One model loaded once: what it is and what loading it cost."""

    job = peewee.ForeignKeyField(Job, primary_key=True, on_delete="CASCADE")
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    model = peewee.CharField()
    info = JSONText()  #: {"name", "params", "memory", "notes", "path", "revision", "licence", ...}
    load_time_s = peewee.FloatField()
    load_peak_mb = peewee.FloatField(null=True)


class Reply(Record):
    """One reply of one model to one prompt, or its failure. Never generated twice."""

    job = peewee.ForeignKeyField(Job, on_delete="CASCADE")
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    model = peewee.CharField()
    scenario_id = peewee.CharField()
    prompt = peewee.IntegerField()  #: place of the prompt in its scenario, from 0
    sample = peewee.IntegerField(default=1)
    context = peewee.TextField()
    instruction = peewee.TextField()
    rendered = peewee.TextField()  #: the exact text given to the model
    seed = peewee.BigIntegerField()
    reply = peewee.TextField()
    success = peewee.BooleanField()
    failure = peewee.TextField(null=True)
    checks = JSONText()  #: {"name of the check": true | false}
    quality = peewee.FloatField()  #: share of the checks passed; 0 for a failed reply
    prompt_tokens = peewee.IntegerField(null=True)
    tokens = peewee.IntegerField(null=True)
    ttft_ms = peewee.FloatField(null=True)
    latency_ms = peewee.FloatField(null=True)
    tokens_per_second = peewee.FloatField(null=True)
    finish_reason = peewee.CharField(null=True)
    peak_memory_mb = peewee.FloatField(null=True)  #: of MLX, for this reply
    created_at = InstantField()

    class Meta:
        indexes = ((("job", "scenario_id", "prompt", "sample"), True),)


def first_tables() -> None:
    """Mining, templates, evaluations, replies."""
    database.create_tables([Mining, Template, Evaluation, Reply], safe=False)


MIGRATIONS = (first_tables,)
