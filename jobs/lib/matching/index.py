"""Finds the template that answers a text, in three stages, the cheapest first.

1. exact: a dictionary of the triggers' normal forms
2. fast: shared character n-grams, used only from the score on at which they agreed with the encoder
3. encoder: the model under which triggers and tiers were measured

The index of a run is a folder of var/cache/index/. It is made when it is first needed and again when the templates
have changed. It holds no text and no pickle:

    <digest>.npy   one row per trigger, float32, unit length, memory-mapped; named after the templates it belongs to
    meta.json      which templates, which model, which stages; written last, so that the index is complete with it
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jarvisd import plugin
from jarvisd.plugin import Home
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.matching import ngrams, readers, subjects
from jobs.lib.matching import triggers as trigger_rows
from jobs.lib.matching.drafts import Matcher
from jobs.lib.matching.rules import SLACK, form_of
from jobs.lib.matching.triggers import Trigger
from jobs.lib.results.tables import Mining

_VERSION = 3
_REMEMBERED = 512  # vectors of texts that were asked before

Vectors = NDArray[np.float32]
Read = Callable[[str], Vectors]


@dataclass(frozen=True, slots=True)
class Match:
    """The trigger nearest to a text, and whether its template fires."""

    fires: bool
    trigger: Trigger
    similarity: float  #: cosine to the trigger, in the scores of the stage that answered
    how: str  #: exact | fast | encoder
    about: str | None = None  #: the subject on which no template fires: grief, health, the law ...


class Index:
    """index = Index.of_newest(home); index.match("where are you?") -> Match

    Opening it only reads rows of the database. Vectors and model are loaded when a text first needs them.
    """

    def __init__(self, home: Home, mining: Mining, triggers: list[Trigger], matcher: Matcher | None = None) -> None:
        """`matcher` embeds the texts for it, where the run has one: each text once. Triggers are in float32."""
        self.home, self.mining, self.triggers, self.matcher = home, mining, triggers, matcher
        self.loading_s = 0.0  #: seconds that loading took so far
        self._exact: dict[str, Trigger] = {}
        for trigger in triggers:
            self._exact.setdefault(trigger.form, trigger)
        self._known: OrderedDict[str, Vectors] = OrderedDict()

    @classmethod
    def of_newest(cls, home: Home) -> Index:
        """The index of the newest run that has templates. Raises JarvisError where none of them may be sent."""
        mining = trigger_rows.newest()
        return cls(home, mining, trigger_rows.triggers(mining), Matcher.find(home, mining))

    def match(self, text: str) -> Match:
        """The best answer to `text`, by the first stage that has one. Raises JarvisError."""
        form = form_of(text)
        if (trigger := self._exact.get(form)) is not None:
            return Match(True, trigger, 1.0, "exact")
        return self._match_fast(form) or self.match_by_encoder(text)

    def knows(self, text: str) -> bool:
        """Whether `text` is a trigger, spelling and repeats aside."""
        return form_of(text) in self._exact

    def match_by_encoder(self, text: str) -> Match:
        """The answer of the last stage. Raises JarvisError."""
        form = form_of(text)
        scores = self._loaded.vectors @ self._vector(form)
        best = int(scores.argmax())
        trigger, similarity = self.triggers[best], float(scores[best])
        about = subjects.sensitive(text)
        fires = similarity >= trigger.threshold - SLACK and about is None
        return Match(fires, trigger, similarity, "encoder", about)

    def warm(self) -> None:
        """Make the index where it is missing and load it, so that the next match is as fast as later ones."""
        _ = self._loaded
        self._vector("ok")

    def _match_fast(self, form: str) -> Match | None:
        loaded = self._loaded
        if loaded.grams is None or loaded.fast_from is None:
            return None
        scores = loaded.grams.scores(form)
        best = int(scores.argmax())
        score = float(scores[best])
        if score < loaded.fast_from or subjects.sensitive(form) is not None:
            return None
        return Match(True, self.triggers[best], score, "fast")

    def _vector(self, form: str) -> Vectors:
        if self.matcher is not None:
            return self.matcher.vector(form)
        known = self._known.pop(form, None)
        vector = self._loaded.read(form) if known is None else known
        self._known[form] = vector
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return vector

    @cached_property
    def _loaded(self) -> _Loaded:
        began = time.perf_counter()
        loaded = _load(self)
        self.loading_s += time.perf_counter() - began
        return loaded

    @property
    def folder(self) -> Path:
        return self.home.cache / "index" / str(self.mining.run_id)

    @property
    def file(self) -> Path:
        return self.folder / f"{self.digest[:16]}.npy"

    @cached_property
    def digest(self) -> str:
        """A hash of everything but the model that decides the answers."""
        kept = [[trigger.template, trigger.form, trigger.threshold] for trigger in self.triggers]
        return hashlib.sha256(json.dumps([_VERSION, kept]).encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The part of an index that takes time to load."""

    vectors: Vectors  #: (triggers, size) unit rows
    read: Read  #: a normal form -> its unit vector
    grams: ngrams.Grams | None
    fast_from: float | None  #: the score from which on the fast stage answers; None where it never does


# ------------------------------------------------------------------------------------------------------ the folder


def _load(index: Index) -> _Loaded:
    """The index from its folder, made first where it is missing or older than the templates."""
    folder = trigger_rows.matcher_folder(index.mining, index.home)
    meta = _meta(index, folder) or _make(index, folder)
    vectors: Vectors = np.load(index.file, mmap_mode="r", allow_pickle=False)
    fast = meta["fast_from"]
    return _Loaded(
        vectors=vectors,
        read=index.matcher.vector if index.matcher else readers.open_reader(index.mining, index.home),
        grams=ngrams.Grams([trigger.form for trigger in index.triggers]) if fast is not None else None,
        fast_from=fast,
    )


def _meta(index: Index, folder: Path) -> dict[str, Any] | None:
    """The content of meta.json; None where the index is missing or belongs to other templates or another model."""
    try:
        meta: dict[str, Any] = json.loads((index.folder / "meta.json").read_text("utf-8"))
        vectors = np.load(index.file, mmap_mode="r", allow_pickle=False)
        fits = vectors.shape == (len(index.triggers), meta["size"]) and vectors.dtype == np.float32
        # Sizes and times of the files are compared, because hashing the weights takes longer than the answer.
        same = meta["digest"] == index.digest and meta["stamp"] == trigger_rows.stamp(folder)
        return meta if fits and same and isinstance(meta["fast_from"], float | None) else None
    except (OSError, ValueError, LookupError, TypeError, EOFError):
        return None


def _make(index: Index, folder: Path) -> dict[str, Any]:
    """Embed the triggers, choose the stages, write both files. Raises JarvisError for another model."""
    from jobs.lib.embedding.numpy_bert import Bert

    name = str(index.mining.config["matcher"]["name"])
    encoder = Encoder(folder, name, index.home.cache / "embeddings", "cpu", Bert)
    if encoder.fingerprint != index.mining.config["matcher"]["fingerprint"]:
        raise readers.another_model(index.mining, folder)
    vectors = encoder.encode([trigger.form for trigger in index.triggers])
    meta = {
        "digest": index.digest,
        "model": encoder.name,
        "fingerprint": encoder.fingerprint,
        "stamp": trigger_rows.stamp(folder),
        "size": int(vectors.shape[1]),
        "fast_from": _calibrated(index, vectors),
    }
    raw = io.BytesIO()
    np.save(raw, vectors, allow_pickle=False)
    plugin.replace_file(index.file, raw.getvalue())
    plugin.replace_file(index.folder / "meta.json", json.dumps(meta))
    for other in set(index.folder.glob("*.npy")) - {index.file}:
        other.unlink(missing_ok=True)  # a process that has it open keeps its contents
    return meta


def _calibrated(index: Index, vectors: Vectors) -> float | None:
    """The score from which on the fast stage may answer: each trigger is matched against all others."""
    grams = ngrams.Grams([trigger.form for trigger in index.triggers])
    owners = [trigger.template for trigger in index.triggers]
    scores, agrees = [], []
    for place, trigger in enumerate(index.triggers):
        others = np.array([other.form != trigger.form for other in index.triggers])
        if not others.any():
            return None
        quick = np.where(others, grams.scores(trigger.form), -1)
        full = np.where(others, vectors @ vectors[place], -1)
        fast, best = int(quick.argmax()), int(full.argmax())
        fires = full[best] >= index.triggers[best].threshold - SLACK
        scores.append(float(quick[fast]))
        agrees.append(bool(fires and owners[fast] == owners[best]))
    return ngrams.calibrate(scores, agrees)
