"""The results of jobs, in the same database as the queue: rows that are deleted with their run and job."""

from __future__ import annotations

import enum
import json

import peewee

from jarvisd import plugin
from jarvisd.plugin import InstantField, Job, JSONText, Record, Run


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
    threshold = peewee.DoubleField(null=True)  #: cosine of the matcher from which our own index answers with it
    precision = peewee.DoubleField(null=True)  #: right / fired, None where it never fired on a held-out turn
    precision_low = peewee.DoubleField(null=True)  #: lower end of its Wilson interval
    fired = peewee.IntegerField(default=0)  #: held-out turns
    right = peewee.IntegerField(default=0)

    class Meta:
        indexes = ((("job", "uuid"), True),)


class Ranking(Record):
    """The ranker of a mining: what `jobs.lib.matching.ranker` reads.

    Runs of earlier versions have a second row for vectors in int8. Nothing reads it: the graph of that time is gone.
    """

    job = peewee.ForeignKeyField(Job, on_delete="CASCADE")
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    space = peewee.CharField()  #: float32: how the matcher computed the vectors that the weights belong to
    weights = peewee.BlobField()  #: the bytes of an .npz without pickle; see jobs.lib.matching.ranker
    figures = JSONText()  #: what it was measured on, how it did there, and `int8`: whether texts may be embedded so

    class Meta:
        indexes = ((("job", "space"), True),)


class HeldOutDraft(Record):
    """A turn that the ranker was not trained on, and what it drafted: the cards of a review are taken from these."""

    job = peewee.ForeignKeyField(Job, on_delete="CASCADE")
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    place = peewee.IntegerField()  #: in order of time, from 0
    chat = peewee.IntegerField()  #: number of the chat in the Messages database
    sent_at = InstantField()  #: of the last incoming message
    previous = peewee.TextField(null=True)  #: the owner's message before it in the same conversation
    incoming = peewee.TextField()  #: its messages, one per line
    answer = peewee.TextField(null=True)  #: the first message of the owner's real reply; None where there was none
    drafts = JSONText()  #: [[uuid of the template, probability], ...], at most three, the likeliest first
    probability = peewee.DoubleField()  #: of the first draft: the confidence by which turns are ordered

    class Meta:
        indexes = ((("job", "place"), True),)


class ModelLoad(Record):
    """One model loaded once, in one round: what it is and what loading it cost."""

    job = peewee.ForeignKeyField(Job, primary_key=True, on_delete="CASCADE")
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    model = peewee.CharField()
    info = JSONText()  #: {"name", "params", "memory", "notes", "path", "revision", "licence", ...}
    load_time_s = peewee.DoubleField()
    load_peak_mb = peewee.DoubleField(null=True)  #: of MLX
    first_reply_ms = peewee.DoubleField(null=True)  #: the first reply after loading, which still compiles and pages in
    process_mb = peewee.DoubleField(null=True)  #: peak of the whole process so far, as the system counts it
    conditions = JSONText(null=True)  #: power, free memory, swap at the time of loading


def loaded_models(run: Run) -> dict[str, str]:
    """Key -> name of each model that a run loaded, in that order."""
    rows = ModelLoad.select(ModelLoad.model, ModelLoad.info).where(ModelLoad.run == run).order_by(ModelLoad.job)
    return {row.model: str((row.info or {}).get("name") or row.model) for row in rows}


class TrainTestSplit(Record):
    """The one instant of a run: turns to be answered lie after it; whatever knows the owner uses what lies before."""

    run = peewee.ForeignKeyField(Run, primary_key=True, on_delete="CASCADE")
    at = InstantField()
    own_before = peewee.IntegerField()  #: own messages before it
    turns_after = peewee.IntegerField()  #: answered turns after it
    chosen = peewee.IntegerField()  #: of those, in the table HeldOutTurn


class HeldOutTurn(Record):
    """A turn of the owner's history that models are asked to answer: what came in, and what the owner wrote."""

    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    place = peewee.IntegerField()  #: from 0, in the order in which models are asked
    chat = peewee.IntegerField()  #: number of the conversation within the run, from 0: the cluster
    incoming = peewee.TextField()
    answer = peewee.TextField()
    sent_at = InstantField()

    class Meta:
        indexes = ((("run", "place"), True),)


class TurnExample(Record):
    """An earlier turn and the owner's answer, shown to every model of a run before each held-out turn."""

    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    place = peewee.IntegerField()  #: from 0, in the order in which they are shown
    incoming = peewee.TextField()
    answer = peewee.TextField()

    class Meta:
        indexes = ((("run", "place"), True),)


class Cause(enum.StrEnum):
    """Why later rounds no longer ask a model; each with the numbers in `LeftOut.details`."""

    NO_COMPLETE_REPLY = "no_usable_reply"  # the name that databases hold since 0.1.0
    JOB_FAILED = "job_failed"  #: round
    JOB_CANCELLED = "job_cancelled"  #: round
    SUCCESS_GATE = "success_gate"  #: successes, total, most_percent: upper end of the interval
    MEMORY_GATE = "memory_gate"  #: peak_mb, limit_mb
    BEHIND = "behind"  #: leader, mean, low, high, p_holm
    NO_CHANCE = "no_chance"  #: leader, behind, chance: of being the best or nearly so
    TOLD = "told"  #: text: a database from before this table kept a sentence


class LeftOut(Record):
    """A model that a round does not ask. A round names all of them, those that earlier rounds left out too."""

    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    round = peewee.IntegerField()  #: the first one that it holds for
    model = peewee.CharField()
    cause = peewee.CharField()
    details = JSONText()

    class Meta:
        indexes = ((("run", "round", "model"), True),)


class Reply(Record):
    """One reply of one model to one prompt, or its failure. Never generated twice."""

    job = peewee.ForeignKeyField(Job, on_delete="CASCADE")
    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    round = peewee.IntegerField(default=1)
    model = peewee.CharField()
    scenario_id = peewee.CharField()  #: of scenarios.yaml; REAL_TURNS for a turn of the owner's history
    prompt = peewee.IntegerField()  #: place of the prompt in its scenario, or of the real turn, from 0
    sample = peewee.IntegerField(default=1)
    context = peewee.TextField()
    instruction = peewee.TextField()
    rendered = peewee.TextField()  #: the exact text given to the model
    prompt_ids = JSONText(null=True)  #: the exact tokens given to the model
    seed = peewee.BigIntegerField()
    reply = peewee.TextField()
    thinking = peewee.IntegerField(default=0)  #: characters of a think block that was taken off
    success = peewee.BooleanField()
    failure = peewee.TextField(null=True)
    checks = JSONText()  #: {"name of the check": true | false}
    quality = peewee.DoubleField()  #: see jobs.evaluate.checks; 0 for a failed reply
    batched = peewee.BooleanField(default=False)  #: generated beside others: it has no times of its own
    prompt_tokens = peewee.IntegerField(null=True)
    tokens = peewee.IntegerField(null=True)
    ttft_ms = peewee.DoubleField(null=True)
    latency_ms = peewee.DoubleField(null=True)
    inter_token_ms = peewee.DoubleField(null=True)  #: (last token - first token) / (tokens - 1)
    tokens_per_second = peewee.DoubleField(null=True)
    characters_per_second = peewee.DoubleField(null=True)  #: visible characters / latency
    finish_reason = peewee.CharField(null=True)
    peak_memory_mb = peewee.DoubleField(null=True)  #: of MLX, for this reply
    bits_per_character = peewee.DoubleField(null=True)  #: of the owner's real answer under the model; real turns only
    created_at = InstantField()

    class Meta:
        indexes = ((("run", "model", "scenario_id", "prompt", "sample"), True),)


#: `Reply.scenario_id` of a real turn: no scenario may be called so.
REAL_TURNS = "real-turns"


class Score(Record):
    """The value of one metric for one reply."""

    reply = peewee.ForeignKeyField(Reply, backref="scores", on_delete="CASCADE")
    metric = peewee.CharField()  #: style | meaning | reading | own_turns
    #: More is better; 0..1, but for own_turns: there it is what the reply adds to the value of its model's set.
    value = peewee.DoubleField()
    parts = JSONText(null=True)  #: what it was made of, by name

    class Meta:
        indexes = ((("reply", "metric"), True),)


class ReferenceScore(Record):
    """The same metric measured on people instead of a model: what its values mean."""

    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    metric = peewee.CharField()
    reference = peewee.CharField()  #: ceiling (the owner's other half) | floor (other people) | random (another reply)
    value = peewee.DoubleField()
    low = peewee.DoubleField(null=True)  #: 95 % interval
    high = peewee.DoubleField(null=True)
    n = peewee.IntegerField()

    class Meta:
        indexes = ((("run", "metric", "reference"), True),)


#: Suffix of `ReferenceScore.reference`: the mean of the same texts after each was clipped to 0..1, as replies are.
#: Clipping moves both ends: the ceiling does not reach 1, and the floor lies above 0.
SCALED = ", scaled"


#: `ReferenceScore.reference` of one text that answers everything.
CANNED = "canned"


class StyleProfile(Record):
    """What `jobs.evaluate.metrics.style` knows of the owner's way of writing.

    Numbers only: no message can be read out of it.
    """

    run = peewee.ForeignKeyField(Run, primary_key=True, on_delete="CASCADE")
    document = JSONText()  #: means and spreads of features, hashed n-grams with their rarity; see style.Profile


class Vote(Record):
    """Somebody compared two replies to the same prompt without knowing whose they are."""

    run = peewee.ForeignKeyField(Run, on_delete="CASCADE")
    by = peewee.CharField()  #: OWNER, or "judge:KEY" of a model
    left = peewee.ForeignKeyField(Reply, on_delete="CASCADE", backref="votes_left")  #: as it was shown
    right = peewee.ForeignKeyField(Reply, on_delete="CASCADE", backref="votes_right")
    choice = peewee.CharField()  #: left | right | tie | both bad | invalid (a judge's answer in another form)
    created_at = InstantField()

    class Meta:
        indexes = ((("by", "left", "right"), True),)


OWNER = "owner"


class DraftReview(Record):
    """The owner's judgement of one draft on one turn of the history. It outlasts the run that asked for it."""

    turn = peewee.CharField()  #: digest of the turn; see jobs.lib.reviews.cards.turn_id
    template = peewee.CharField()  #: uuid of the draft's text
    reply = peewee.TextField()  #: the draft as it was shown
    incoming = peewee.TextField()
    answer = peewee.CharField()  #: one of Answer
    run = peewee.CharField()  #: id of the run whose card it was; no foreign key, because the run may be pruned
    created_at = InstantField()

    class Meta:
        indexes = ((("turn", "template"), True),)


class Answer(enum.StrEnum):
    """What the owner says of a draft."""

    SEND = "send"  # would send it as it stands
    NOT = "not"  # would not send it
    EDIT = "edit"  # would send it in other words; the words are in TemplateReview
    NEVER = "never"  # nothing should answer a turn like this


class CardReading(Record):
    """What a local model says of a card of a review: it sorts cards and certifies nothing. It outlasts the run."""

    turn = peewee.CharField()  #: as in DraftReview
    template = peewee.CharField()  #: as in DraftReview
    judge = peewee.CharField()  #: key of the model
    chance = peewee.DoubleField()  #: that the owner would send the draft, 0 to 1, by the model
    block = peewee.CharField(null=True)  #: the cards that were sorted together; None where it had an answer already
    created_at = InstantField()

    class Meta:
        indexes = ((("turn", "template", "judge"), True),)


class TemplateReview(Record):
    """What the owner decided about a template. It belongs to the text and outlasts every run."""

    template = peewee.CharField(unique=True)  #: uuid of the text as it was mined
    reply = peewee.TextField()  #: the text as it was mined
    verdict = peewee.CharField()  #: one of Verdict
    edited = peewee.TextField(null=True)  #: the owner's wording, where the verdict is EDITED
    created_at = InstantField()


class Verdict(enum.StrEnum):
    """What becomes of a template."""

    KEPT = "kept"
    REJECTED = "rejected"
    EDITED = "edited"


def first_tables() -> None:
    """Mining, templates, evaluations, replies."""
    plugin.run_script("jobs.lib.results", "1_first_tables.sql")


def rounds_and_layers() -> None:
    """What a comparison in rounds stores beside them: real turns, scores, votes, and more about each reply."""
    plugin.run_script("jobs.lib.results", "2_rounds_and_layers.sql")


def names() -> None:
    """Tables and columns get the names that the code uses."""
    plugin.run_script("jobs.lib.results", "3_names.sql")


def left_out() -> None:
    """Which models a round leaves out gets a table; until now the params of the round's job `layers` said it."""
    plugin.run_script("jobs.lib.results", "4_left_out.sql")
    rows = plugin.db.execute_sql("SELECT run_id, round, params FROM job WHERE name = 'layers' ORDER BY id").fetchall()
    for run, round_, params in rows:
        reasons = json.loads(params).get("left_out") or {}
        for model, text in reasons.items():
            LeftOut.create(run=run, round=round_, model=model, cause=Cause.TOLD, details={"text": str(text)})


def turn_examples() -> None:
    """The earlier turns that held-out prompts show."""
    plugin.run_script("jobs.lib.results", "5_turn_examples.sql")


def rankers() -> None:
    """The ranker of a mining, and its drafts on held-out turns."""
    plugin.run_script("jobs.lib.results", "6_rankers.sql")


def reviews() -> None:
    """The owner's judgements of drafts and templates."""
    plugin.run_script("jobs.lib.results", "7_reviews.sql")


def card_readings() -> None:
    """What a local model says of the cards of a review."""
    plugin.run_script("jobs.lib.results", "8_card_readings.sql")


MIGRATIONS = (first_tables, rounds_and_layers, names, left_out, turn_examples, rankers, reviews, card_readings)
