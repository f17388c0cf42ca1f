"""What one mining works on: the plan's section with its two models, and the owner's messages, counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jarvisd.plugin import JobContext
from jobs.lib import imessage
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.embedding.numpy_bert import Bert
from jobs.lib.imessage import History
from jobs.lib.models import catalogue
from jobs.lib.models.catalogue import ModelEntry
from jobs.mine import answers, corpus, person_names, tiers
from jobs.mine.answers import Mask, Turns
from jobs.mine.corpus import Corpus
from jobs.mine.coverage import Vectors
from jobs.mine.plan import Section


@dataclass(frozen=True)
class Task:
    """A mining as its plan describes it."""

    context: JobContext
    section: Section
    embedder: ModelEntry  #: compares the owner's messages with each other
    matcher: ModelEntry  #: compares incoming messages with triggers, as JARVIS does

    @classmethod
    def of(cls, context: JobContext) -> Task:
        section = dict(context.plan["mine"])
        embedder, matcher = (ModelEntry.model_validate(section.pop(name)) for name in ("model", "matcher_model"))
        return cls(context, Section.model_validate(section), embedder, matcher)

    @cached_property
    def encoder(self) -> Encoder:
        """The embedder, opened. Raises JobFailed where it is not on disk or not usable."""
        return self.open(self.embedder)

    def open(self, entry: ModelEntry) -> Encoder:
        """Raises JobFailed where the model is not on disk or not usable."""
        folder = catalogue.require(entry, self.context.home)
        return Encoder(folder, entry.name, self.context.home.cache / "embeddings", fast=Bert)

    def embed(self, encoder: Encoder, texts: list[str]) -> Vectors:
        """(len(texts), d) unit rows; only texts that are not in the cache are computed. Raises Stopped."""
        before = encoder.computed
        vectors = encoder.encode(
            texts, lambda done, total: self.context.progress(done, total, "texts embedded"), self.context.should_stop
        )
        self.context.log.info("%d texts, %d of them embedded now", len(texts), encoder.computed - before)
        return vectors


@dataclass(frozen=True, slots=True)
class Messages:
    """The owner's messages, counted, and the turns they answered."""

    history: History
    corpus: Corpus
    turns: Turns
    may_trigger: Mask  #: (turns) which of them may be triggers


def read_messages(task: Task) -> Messages:
    """The newest `sample` messages of the owner, and the incoming turns since the oldest of them."""
    history = imessage.read(Path(task.context.params["messages"]), task.context.home.cache)
    own = [message for message in history.messages if message.from_me][-task.section.sample :]
    task.context.log.info("%d messages of the owner's, %d in all", len(own), len(history.messages))
    partners = {message.person for message in history.messages}
    incoming = [message for message in history.messages if not message.from_me]
    # The owner's own name stands in what others write.
    written = person_names.addressed_names(own) | person_names.addressed_names(incoming)
    name_words = written | person_names.known(partners, ())
    counted = corpus.build(own, task.section.max_words, name_words, task.section.min_people)
    own_times = [message.when.timestamp() for message in own]
    turns = answers.collect(imessage.turns(history.messages), counted, own_times)
    return Messages(history, counted, turns, tiers.allowed(turns, name_words))
