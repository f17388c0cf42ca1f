"""The second reader: how much a reply is like the good examples of its prompt and unlike the bad ones.

The checks look for words; examples show what the words mean together. A kernel ridge regression (C. Saunders,
A. Gammerman and V. Vovk, ICML 1998) is fitted to +1 for good and -1 for bad examples of scenarios.yaml. Its kernel is
a sum over spelling (TF-IDF of 2 to 4 characters), words (TF-IDF of words and pairs), signs (signs.py: the checks,
hostility, stiffness, negation), acts (acts.py: what the reply does) and, where an encoder is on disk, meaning (sentence
vectors), each times how much two prompts have in common: an example counts most for its own prompt, less for the
scenario's others, least for the rest (multi-task kernels: T. Evgeniou, C. Micchelli and M. Pontil, JMLR 6, 2005).
Spelling, words, acts and meaning are those of the reply in plain words (plain_words.py), without a "Sure," before it.
A logistic curve, fitted to leave-one-out margins, turns the result into 0..1.

Fitting takes some seconds and is deterministic. Not promised: that it reads what no example resembles; such a
reply gets about the average of its prompt's examples.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jobs.evaluate.acts import acts
from jobs.evaluate.borrowed import borrowed
from jobs.evaluate.plain_words import plain_words, split_opener
from jobs.evaluate.scenarios import ResolvedScenarios
from jobs.evaluate.signs import signs

Matrix = NDArray[np.float64]
#: Texts -> (n, size) rows of length 1.
Encode = Callable[[list[str]], NDArray[np.float32]]

#: A prompt with fewer good or fewer bad examples is not read.
LEAST_EXAMPLES = 5
#: (weight of an example of another scenario, what the same scenario adds, what the same prompt adds). An insult is one
#: anywhere, while words and acts that are right for one prompt are wrong for another.
_OF_WORDS, _OF_SIGNS = (0.3, 0.5, 1.7), (1.0, 0.5, 1.0)
_RIDGE = 1.0
#: Weights beside spelling and words, which count 1 each. Chosen, like the numbers above, mostly by reading each of
#: three groups of examples, written at different times, with the two others.
_MEANING, _SIGNS, _ACTS = 4.0, 0.5, 2.0
#: Two replies that differ in four acts are exp(-1) alike.
_ACT_WIDTH = 0.25
_TOKEN = re.compile(r"\b\w[\w']*\b|[^\w\s]")


@dataclass(frozen=True)
class Text:
    """A reply, and which prompt it answers."""

    scenario: str
    instruction: str
    reply: str


class _Vectorizer(Protocol):
    """What is used of sklearn's TfidfVectorizer."""

    def transform(self, texts: Sequence[str]) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class _Features:
    """What the kernel compares of n replies."""

    texts: Sequence[Text]
    grams: list[Any]  #: sparse (n, terms) of each vectorizer, rows of length 1
    vectors: NDArray[np.float32] | None  #: (n, size), rows of length 1; None without an encoder
    signs: Matrix  #: (n, signs)
    acts: Matrix  #: (n, acts)


class Reader:
    """reader = Reader(sheet, encode); reader.read(texts) -> [0.93, None, ...]"""

    def __init__(self, sheet: ResolvedScenarios, encode: Encode | None = None) -> None:
        """Fit to the sheet's examples. `encode` is asked for all of them at once; None = spelling and words alone."""
        self._encode, self._guide = encode, sheet.guide
        self._places = {
            (scenario.id, prompt.instruction): (scenario, prompt)
            for scenario in sheet.scenarios
            for prompt in scenario.prompts
        }
        self._texts, targets = _examples(sheet)
        self._prompts = {(text.scenario, text.instruction) for text in self._texts}
        if self._texts:
            self._fit(np.array(targets))

    @property
    def prompts(self) -> set[tuple[str, str]]:
        """(scenario, instruction) of the prompts that have enough examples."""
        return set(self._prompts)

    def read(self, texts: Sequence[Text]) -> list[float | None]:
        """The chance, 0..1, that each reply does what its prompt asks; None where the prompt has no examples."""
        known = [text for text in texts if (text.scenario, text.instruction) in self._prompts]
        values = iter(self._probabilities(self.margins(known)) if known else ())
        return [float(next(values)) if (text.scenario, text.instruction) in self._prompts else None for text in texts]

    def margins(self, texts: Sequence[Text]) -> Matrix:
        """(n,) raw values, about -1 for bad and +1 for good; any prompt, also one without examples."""
        return np.asarray(self._kernel(self._features(texts)) @ self._weights + self._mean)

    # ------------------------------------------------------------------------------------------------- fitting

    def _fit(self, targets: Matrix) -> None:
        self._vectorizers = _vectorizers([body(text.reply) for text in self._texts])
        self._known = self._features(self._texts)
        self._signs_at = self._known.signs.mean(axis=0)
        self._signs_scale = self._known.signs.std(axis=0) + 1e-9
        importance = _importance(self._texts, targets)
        self._mean = float(np.average(targets, weights=importance))
        inverse = _inverse(self._kernel(self._known) + _RIDGE * np.diag(1 / importance))
        self._weights = inverse @ (targets - self._mean)
        # Leave-one-out predictions in closed form (G. Wahba, Spline Models for Observational Data, 1990, section 4.2).
        self.is_good = targets > 0
        self.left_out = targets - self._weights / np.diag(inverse)
        self._curve = _logistic(self.left_out, self.is_good, importance)

    def _features(self, texts: Sequence[Text]) -> _Features:
        shown = [body(text.reply) for text in texts]
        signs_of = [signs(text.reply, self._guide, *self._places[text.scenario, text.instruction]) for text in texts]
        return _Features(
            texts=texts,
            grams=[vectorizer.transform(shown) for vectorizer in self._vectorizers],
            vectors=self._encode(shown) if self._encode else None,
            signs=np.array(signs_of),
            acts=np.array([acts(text.reply) for text in texts]),
        )

    def _kernel(self, rows: _Features) -> Matrix:
        """(rows, examples)"""
        known = self._known
        total = _ACTS * np.exp(-_ACT_WIDTH * _squared_distances(rows.acts, known.acts))
        for grams, known_grams in zip(rows.grams, known.grams, strict=True):
            total += (grams @ known_grams.T).toarray()
        if rows.vectors is not None and known.vectors is not None:
            total += _MEANING * np.exp(2 * (rows.vectors @ known.vectors.T) - 2)
        of_signs = _gaussian(self._standard(rows.signs), self._standard(known.signs))
        in_words, in_signs = (_relatedness(rows.texts, known.texts, *shares) for shares in (_OF_WORDS, _OF_SIGNS))
        return np.asarray(total * in_words + _SIGNS * of_signs * in_signs)

    def _standard(self, signs: Matrix) -> Matrix:
        return np.asarray((signs - self._signs_at) / self._signs_scale)

    def _probabilities(self, margins: Matrix) -> Matrix:
        slope, offset = self._curve
        return np.asarray(1 / (1 + np.exp(-(slope * margins + offset))))


def body(reply: str) -> str:
    """A reply in plain words, without what opens it where a whole clause follows."""
    return split_opener(plain_words(reply))[1]


def _squared_distances(first: Matrix, second: Matrix) -> Matrix:
    """(n, m) of rows (n, d) and (m, d)."""
    return np.asarray((first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None] - 2 * first @ second.T)


def _gaussian(first: Matrix, second: Matrix) -> Matrix:
    """(n, m) of rows (n, d) and (m, d), with a width at which independent standardised rows are about 0.4 alike."""
    return np.asarray(np.exp(-_squared_distances(first, second) / (2 * first.shape[1])))


def _examples(sheet: ResolvedScenarios) -> tuple[list[Text], list[float]]:
    """Examples of every prompt that has enough, with those that it borrows, and +1 or -1 for each."""
    texts: list[Text] = []
    targets: list[float] = []
    for scenario in sheet.scenarios:
        for prompt in scenario.prompts:
            good, bad = prompt.examples.good, prompt.examples.bad
            if min(len(good), len(bad)) >= LEAST_EXAMPLES:
                texts += [Text(scenario.id, prompt.instruction, reply) for reply in (*good, *bad)]
                targets += [1.0] * len(good) + [-1.0] * len(bad)
                lent = [Text(scenario.id, prompt.instruction, reply) for reply in borrowed(sheet, scenario, prompt)]
                texts, targets = texts + lent, targets + [-1.0] * len(lent)
    return texts, targets


def _vectorizers(shown: list[str]) -> list[_Vectorizer]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    spelling = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    words = TfidfVectorizer(ngram_range=(1, 2), tokenizer=_TOKEN.findall, token_pattern=None, sublinear_tf=True)
    return [spelling.fit(shown), words.fit(shown)]


def _importance(texts: Sequence[Text], targets: Matrix) -> Matrix:
    """(n,) with mean 1: one of many examples of a prompt's side counts less."""
    sides = [(text.scenario, text.instruction, target) for text, target in zip(texts, targets, strict=True)]
    counts = Counter(sides)
    sizes = np.array([counts[side] for side in sides], dtype=float)
    weights = 1 / np.sqrt(sizes)
    return np.asarray(weights / weights.mean())


def _relatedness(
    texts: Sequence[Text], examples: Sequence[Text], any_: float, scenario: float, prompt: float
) -> Matrix:
    """(len(texts), len(examples)): how much the prompts of two texts have in common."""

    def same(keys: Callable[[Text], object]) -> NDArray[np.bool_]:
        """Whether a text and an example have the same key."""
        numbers: dict[object, int] = {}
        first, second = (
            np.array([numbers.setdefault(keys(text), len(numbers)) for text in side]) for side in (texts, examples)
        )
        return np.asarray(first[:, None] == second[None])

    same_scenario = same(lambda text: text.scenario)
    same_prompt = same(lambda text: (text.scenario, text.instruction))
    return np.asarray(any_ + scenario * same_scenario + prompt * same_prompt, dtype=float)


def _inverse(matrix: Matrix) -> Matrix:
    """Of a symmetric, positive definite matrix, in half the time of the general one."""
    from scipy.linalg import lapack

    factor, failed = lapack.dpotrf(matrix, lower=True, clean=True)
    lower, singular = lapack.dpotri(factor, lower=True)  # zeros above the diagonal stay zeros
    if failed or singular:
        return np.asarray(np.linalg.inv(matrix))
    inverse = np.asarray(lower + lower.T)
    inverse[np.diag_indices_from(inverse)] /= 2
    return inverse


def _logistic(margins: Matrix, good: NDArray[np.bool_], importance: Matrix) -> tuple[float, float]:
    """Slope and offset of the curve from margin to chance (J. Platt, Advances in Large Margin Classifiers, 1999)."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(margins[:, None], good, sample_weight=importance)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
