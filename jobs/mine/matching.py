"""What the matcher says of mined templates: tiers, triggers, thresholds, and what they were worth at the origins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jarvisd.plugin import JobContext, JobFailed
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.embedding.numpy_bert import Bert
from jobs.lib.matching.normalise import normal
from jobs.lib.models import catalogue
from jobs.lib.models.catalogue import ModelEntry
from jobs.mine import backtest, baseline, rolling_origin
from jobs.mine.answers import Mask, Turns
from jobs.mine.backtest import Ground, Trial
from jobs.mine.baseline import Manual, ManualSet
from jobs.mine.corpus import Corpus
from jobs.mine.coverage import Neighbours, Vectors
from jobs.mine.plan import Section
from jobs.mine.rolling_origin import Origin
from jobs.mine.tiers import Calibrated


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """What the matcher said of the templates; without it there are no tiers."""

    problem: str  #: why there was no matcher, "" where there was one
    fingerprint: str | None
    trials: list[Trial]
    deployed: Calibrated | None
    manual: list[Manual]
    manual_problem: str
    manual_vectors: Vectors  #: (m, d) of the replies

    @property
    def tiers(self) -> list[str]:
        return self.deployed.tiers if self.deployed else []


def encoder_of(context: JobContext, entry: ModelEntry) -> Encoder:
    """Raises JobFailed where the model is not on disk or not usable."""
    return Encoder(catalogue.require(entry, context.home), entry.name, context.home.cache / "embeddings", light=Bert)


def embed(context: JobContext, encoder: Encoder, texts: list[str]) -> Vectors:
    """(len(texts), d) unit rows; what is in the cache costs nothing."""
    before = encoder.computed
    vectors = encoder.encode(
        texts, lambda done, total: context.progress(done, total, "texts embedded"), context.should_stop
    )
    context.log.info("%d texts, %d of them embedded now", len(texts), encoder.computed - before)
    return vectors


def match(
    context: JobContext,
    section: Section,
    encoder: Encoder,
    entry: ModelEntry,
    ground: tuple[Corpus, Turns, Vectors, Neighbours, Mask],
    chosen: list[int],
    origins: list[Origin],
) -> Matching:
    """Tiers, triggers and thresholds of what is deployed, and what they were worth at the origins."""
    written, manual_problem = _written(section)
    replies = embed(context, encoder, [normal(one.reply) for one in written])
    try:
        matcher = encoder_of(context, entry)
    except JobFailed as missing:
        problem = f"no tiers were measured: {missing.what}"
        return _nothing(problem, None, written, manual_problem, replies)
    if matcher.fingerprint == encoder.fingerprint:
        matcher = encoder
    counted, turns, vectors, near, may = ground
    if not turns.texts:
        problem = "no tiers were measured: no incoming message stands before a reply"
        return _nothing(problem, matcher.fingerprint, written, manual_problem, replies)
    shared = Ground(
        corpus=counted,
        turns=turns,
        incoming=embed(context, matcher, turns.texts),
        vectors=vectors,
        near=near,
        may=may,
        similarity=section.similarity,
        precision=section.precision,
        manual=_manual_set(context, matcher, written, replies),
    )
    wanted = [origin for origin in origins if origin.share in rolling_origin.TRIALS]
    n = len(counted.ids)
    begin = round(n * (1 - rolling_origin.SPAN))
    return Matching(
        problem="",
        fingerprint=matcher.fingerprint,
        trials=backtest.trials(shared, wanted, context.should_stop),
        deployed=backtest.calibrated(shared, chosen, turns.past(begin), turns.within(begin, n, n)),
        manual=written,
        manual_problem=manual_problem,
        manual_vectors=replies,
    )


def _nothing(
    problem: str, fingerprint: str | None, written: list[Manual], manual_problem: str, replies: Vectors
) -> Matching:
    return Matching(
        problem=problem,
        fingerprint=fingerprint,
        trials=[],
        deployed=None,
        manual=written,
        manual_problem=manual_problem,
        manual_vectors=replies,
    )


def _written(section: Section) -> tuple[list[Manual], str]:
    """The owner's present templates; a file that cannot be read costs this comparison alone, and says so."""
    if section.manual is None:
        return [], ""
    try:
        return baseline.load(Path(section.manual)), ""
    except JobFailed as failure:
        return [], f"your present templates were not measured: {failure.what}"


def _manual_set(context: JobContext, matcher: Encoder, written: list[Manual], replies: Vectors) -> ManualSet | None:
    if not written:
        return None
    spoken = [(number, normal(text)) for number, one in enumerate(written) for text in one.triggers]
    return ManualSet(
        templates=written,
        replies=replies,
        triggers=embed(context, matcher, [text for _, text in spoken]),
        owners=np.array([number for number, _ in spoken], dtype=np.int32),
    )
