"""The metric `style`: how much a text looks as if the owner had typed it.

A profile is fitted on one half of the owner's messages, by plain counting. The style of a text is

    raw = sqrt(shape * familiar), 0..1
    shape = exp(-mean over FEATURES of min(|z|, 3)), z = (value - the owner's mean) / the owner's spread
    familiar = share of the text's n-grams of 2 to 4 characters, weighted by rarity (idf), that the owner uses

and what is shown of a reply is clip((raw - floor) / (ceiling - floor), 0, 1): the ceiling is the mean of the owner's
other half, the floor that of other people's messages. As single messages spread widely, clipping moves both ends: on
that scale the owner's other half does not reach 1 nor do other people stay at 0, so both are measured on it, too.
`familiar` stands where a cosine of TF-IDF vectors might: the
cosine of a short text with a whole corpus mostly says how long the text is, and puts an assistant's polished
sentences level with the owner's own. Features and n-grams as evidence of authorship: E. Stamatatos, "A survey of
modern authorship attribution methods", JASIST 60 (2009) 538-556.

A single message says little about style: the owner's own messages spread widely around the ceiling. Only the mean of
many replies is worth reading. Neither the meaning of a text nor its truth matters.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jarvisd import plugin
from jobs.lib import stats
from jobs.lib.results.tables import SCALED, ReferenceScore, StyleProfile
from jobs.lib.stats import Estimate

METRIC = "style"
LEAST_OWN = 200  #: messages; with fewer the halves say more about chance than about the owner
LEAST_OTHERS = 50
MOST = 2000  #: messages of each half and of the others that are looked at
MOST_CHARACTERS = 1000  #: of a text; what is longer is no message

_MAX_Z = 3.0  # a feature that the owner never shows must not decide alone
_LEAST_SPREAD = 0.05
_SIZES = (2, 3, 4)
_BITS = 20
#: An n-gram counts as the owner's when it stands in so many different messages: what was said once or twice (a name,
#: a code) is left out of the profile. Digits are all the same digit.
_LEAST_MESSAGES = 3
_MOST_GRAMS = 4000

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_ABBREVIATIONS = frozenset(
    _WORD.findall(
        "u ur r y n k kk ok lol lmao omg idk idc btw tbh rn pls plz thx ty np brb ttyl imo nvm hbu wbu jk bc cuz tho "
        "gonna wanna gotta kinda ya yea yeah yep nah nope haha hahaha hahah hehe hmm"
    )
)
_BARE = frozenset(  # contractions without their apostrophe; "ill", "well" and the like are words of their own
    _WORD.findall(
        "im ive dont cant wont didnt doesnt isnt wasnt arent werent havent hasnt couldnt wouldnt shouldnt youre theyre "
        "thats whats lets hes shes theres"
    )
)


def features(text: str) -> dict[str, float]:
    """What a text looks like, by name: logarithms of counts, shares 0..1, and yes or no as 1 or 0."""
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    letters = [character for character in text if character.isalpha()]
    end = text.rstrip()[-1:]
    return {
        "length": math.log1p(len(text)),
        "word length": stats.mean([len(word) for word in words]) or 0.0,
        "small start": float(bool(letters) and letters[0].islower()),
        "capitals": _share(letters, str.isupper),
        "ends in a full stop": float(end == "."),
        "ends in a word": float(end.isalnum()),
        "exclamation marks": math.log1p(text.count("!")),
        "question marks": math.log1p(text.count("?")),
        "other punctuation": _share(text, ',;:-–—()"“”…'.__contains__),
        "emoji": math.log1p(sum(unicodedata.category(character) == "So" for character in text)),
        "abbreviations": _share(words, _ABBREVIATIONS.__contains__),
        "contractions": _share(words, lambda word: "'" in word),
        "bare contractions": _share(words, _BARE.__contains__),
    }


def _share(items: Sequence[str], has: Callable[[str], bool]) -> float:
    return sum(map(has, items)) / len(items) if items else 0.0


def grams(text: str) -> Counter[int]:
    """The n-grams of a text as numbers under 2**20; case and punctuation count, white space and digits are levelled."""
    line = re.sub(r"\d", "0", f" {' '.join(text.split())} ")
    slices = (line[start : start + size] for size in _SIZES for start in range(len(line) - size + 1))
    return Counter(zlib.crc32(part.encode("utf-8", "surrogatepass")) >> (32 - _BITS) for part in slices)


@dataclass(frozen=True, slots=True)
class Style:
    """What the profile says of one text, all 0..1."""

    raw: float
    shape: float
    familiar: float


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The owner's way of writing as numbers.

    It holds means, spreads and up to 4,000 hashed n-grams with one rounded weight each, no counts and no order.
    Whoever tries all n-grams learns which groups of letters the owner uses in several messages, and no message.
    """

    texts: int  #: that it was fitted on
    means: Mapping[str, float]
    spreads: Mapping[str, float]
    weights: Mapping[int, float]  #: n-gram -> idf; the owner's n-grams
    unknown: float  #: idf of every other n-gram

    def style(self, text: str) -> Style:
        shown = text[:MOST_CHARACTERS]
        values = features(shown)
        far = [min(_MAX_Z, abs(values[name] - self.means[name]) / self.spreads[name]) for name in self.means]
        shape, familiar = math.exp(-math.fsum(far) / len(far)), self._familiar(grams(shown))
        return Style(math.sqrt(shape * familiar), shape, familiar)

    def _familiar(self, counts: Counter[int]) -> float:
        own = math.fsum(self.weights[gram] * count for gram, count in counts.items() if gram in self.weights)
        rest = self.unknown * sum(count for gram, count in counts.items() if gram not in self.weights)
        return own / (own + rest) if own else 0.0

    def as_json(self) -> dict[str, Any]:
        """For the table StyleProfile; `from_json` reads it back."""
        return asdict(self) | {"weights": {str(gram): weight for gram, weight in self.weights.items()}}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Profile:
        weights = {int(gram): weight for gram, weight in document["weights"].items()}
        return cls(**{**document, "weights": weights})


def fit(texts: Sequence[str]) -> Profile:
    """The profile of one person from their messages. Raises ValueError for none."""
    if not texts:
        raise ValueError("no texts")
    columns: dict[str, list[float]] = {}
    messages: Counter[int] = Counter()
    for text in texts:
        shown = text[:MOST_CHARACTERS]
        for name, value in features(shown).items():
            columns.setdefault(name, []).append(value)
        messages.update(grams(shown).keys())
    means = {name: math.fsum(values) / len(values) for name, values in columns.items()}
    spreads = {name: max(_LEAST_SPREAD, _spread(values, means[name])) for name, values in columns.items()}
    common = sorted(messages.items(), key=lambda item: (-item[1], item[0]))[:_MOST_GRAMS]
    weights = {gram: round(_idf(n, len(texts)), 2) for gram, n in common if n >= _LEAST_MESSAGES}
    return Profile(texts=len(texts), means=means, spreads=spreads, weights=weights, unknown=_idf(0, len(texts)))


def _spread(values: Sequence[float], middle: float) -> float:
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / len(values))


def _idf(messages: int, of: int) -> float:
    return math.log((1 + of) / (1 + messages)) + 1


# ------------------------------------------------------------------------------------------------------- the yardsticks


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A profile and what its values mean."""

    profile: Profile
    ceiling: Estimate  #: the owner's other half
    floor: Estimate  #: other people
    scaled: Mapping[str, Estimate]  #: both as replies are scored; empty where there is no such scale


def yardsticks(own: Sequence[str], others: Sequence[str]) -> Fitted | None:
    """Fit on every other one of the owner's messages, measure the rest and other people's; None where too few.

    The same messages give the same result. At most MOST of each are looked at, evenly over their order. The intervals
    take messages for independent, so they are a little narrow. Takes about a second.
    """
    if len(own) < LEAST_OWN or len(others) < LEAST_OTHERS:
        return None
    thinned = _thin(own, 2 * MOST)
    profile = fit(thinned[::2])
    own_raw, others_raw = (
        [profile.style(text).raw for text in texts] for texts in (thinned[1::2], _thin(others, MOST))
    )
    ceiling, floor = _mean(own_raw), _mean(others_raw)
    return Fitted(profile=profile, ceiling=ceiling, floor=floor, scaled=_scaled(profile, own_raw, others_raw))


def _thin(texts: Sequence[str], most: int) -> list[str]:
    if len(texts) <= most:
        return list(texts)
    return [texts[place * len(texts) // most] for place in range(most)]


def _mean(values: Sequence[float]) -> Estimate:
    estimate = stats.t_interval(values)
    assert estimate is not None  # noqa: S101 - there are LEAST_OTHERS of them or more
    return estimate


def _scaled(profile: Profile, own: Sequence[float], others: Sequence[float]) -> dict[str, Estimate]:
    scale = Scale(profile=profile, floor=_mean(others).mean, ceiling=_mean(own).mean)
    if scale.ceiling <= scale.floor:
        return {}
    return {what: _mean([scale.value(raw) for raw in raws]) for what, raws in (("ceiling", own), ("floor", others))}


def store(run_id: str, fitted: Fitted | None) -> None:
    """Keep the profile, the ceiling and the floor of a run; what an earlier attempt kept is replaced.

    None stores nothing: the metric is then left out.
    """
    with plugin.write():
        StyleProfile.delete().where(StyleProfile.run == run_id).execute()
        ReferenceScore.delete().where(ReferenceScore.run == run_id, ReferenceScore.metric == METRIC).execute()
        if fitted is None:
            return
        StyleProfile.create(run=run_id, document=fitted.profile.as_json())
        scaled = {f"{reference}{SCALED}": estimate for reference, estimate in fitted.scaled.items()}
        for reference, estimate in ({"ceiling": fitted.ceiling, "floor": fitted.floor} | scaled).items():
            ReferenceScore.create(
                run=run_id,
                metric=METRIC,
                reference=reference,
                value=estimate.mean,
                low=estimate.low,
                high=estimate.high,
                n=estimate.n,
            )


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A run's profile between its floor and its ceiling."""

    profile: Profile
    floor: float
    ceiling: float

    def value(self, raw: float) -> float:
        """0 = no more like the owner than other people are on average, 1 = like the owner's other half on average."""
        return min(1.0, max(0.0, (raw - self.floor) / (self.ceiling - self.floor)))


def scale(run_id: str) -> Scale | str:
    """What a run's replies are measured with, or why the metric is left out."""
    row = StyleProfile.get_or_none(StyleProfile.run == run_id)
    rows = ReferenceScore.select().where(ReferenceScore.run == run_id, ReferenceScore.metric == METRIC)
    marks = {mark.reference: mark.value for mark in rows}
    if row is None or not {"floor", "ceiling"} <= marks.keys():
        return (
            f"it needs {LEAST_OWN} of your messages and {LEAST_OTHERS} of other people's from before the held-out turns"
        )
    if marks["ceiling"] <= marks["floor"]:
        return "other people's messages look as much like yours as your own do"
    return Scale(profile=Profile.from_json(row.document), floor=marks["floor"], ceiling=marks["ceiling"])
