"""Does the ranker put the right template first? Beside k-nearest neighbours and the most frequent replies.

Per person four origins as in mining: templates from the past, the ranker fitted to the past and the next tenth, all
ways of ranking measured on the same turns of the tenth after. Intervals: bootstrap over chats, the same chats for both
sides of a pair.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.lib import imessage
from jobs.lib.embedding import int8, onnx_bert
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.imessage import Message
from jobs.lib.matching import subjects
from jobs.mine import answers, backtest, corpus, coverage, drafting, person_names, rolling_origin, tiers
from jobs.mine.backtest import ALONE, CONTEXT, MatchData
from jobs.mine.drafting import Fast
from jobs.mine.rolling_origin import Origin

TEMPLATES, SIMILARITY, LEAST, MAX_WORDS = 120, 0.8, 3.0, 12
ROUNDS = 2000  # of the bootstrap
RANKED, TEXT_ALONE, NEAREST, NEAREST_REFITTED, FREQUENT = (
    "regression (shipped)",
    "the same, text alone",
    "k-nearest (0.1.0)",
    "k-nearest, both parts",
    "most frequent",
)
#: Gain over k-nearest that is wanted, relative, in first right and in one of three right.
WANTED = 0.15

Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Measured:
    """All report turns of one person."""

    hits: dict[str, Hits]  #: way of ranking -> (turns, 2): first right, one of three right
    chats: NDArray[np.int64]  #: (turns)
    ceiling: float  #: share of turns on which any template is right
    calibration: NDArray[np.float64]  #: (turns, 2) probability of the first draft, 1.0 where it was right


def data_of(messages: list[Message], encoder: Encoder) -> tuple[MatchData, list[Origin]]:
    """What a mining of these messages works on, with MiniLM as embedder and matcher."""
    own = [message for message in messages if message.from_me]
    incoming = [message for message in messages if not message.from_me]
    names = person_names.addressed_names(own) | person_names.addressed_names(incoming)
    counted = corpus.build(own, MAX_WORDS, names)
    turns = answers.collect(imessage.turns(messages), counted, [message.when.timestamp() for message in own])
    places = np.flatnonzero(counted.embeddable)
    embedded = encoder.encode([counted.texts[place] for place in places])
    vectors = np.zeros((len(counted.texts), embedded.shape[1]), dtype=np.float32)
    vectors[places] = embedded
    near = coverage.widened(
        coverage.neighbours(embedded, counted.sayable[places], counted.counts()[places], SIMILARITY, least=LEAST),
        places,
    )
    data = MatchData(
        corpus=counted,
        turns=turns,
        may_trigger=tiers.allowed(turns, names),
        given=drafting.given(turns.asked, encoder.encode),
        may_draft=np.array([subjects.sensitive(text) is None for text in turns.shown], dtype=np.bool_),
        vectors=vectors,
        near=near,
        similarity=SIMILARITY,
        precision=0.8,
        manual=None,
    )
    origins = rolling_origin.origins(counted, near, TEMPLATES, LEAST)
    return data, [origin for origin in origins if origin.share in rolling_origin.TRIALS]


def measure(data: MatchData, origins: list[Origin]) -> Measured:
    """Every way of ranking on the report parts of all origins."""
    hits: dict[str, list[Hits]] = {}
    chats, any_right, drafted = [], [], []
    for origin in origins:
        parts = backtest._parts(data, origin)
        if parts is None:
            continue
        good = data.fitting(origin.chosen, parts.report)
        chances = backtest.chances_of(
            data, backtest.fitted(data, origin.chosen, parts.past, parts.calibration)[1], parts.report
        )
        both = np.concatenate([parts.past, data.turns.answered(parts.calibration)]).astype(np.int32)
        orders = {
            RANKED: answers.first_three(chances[CONTEXT], 0.0),
            TEXT_ALONE: answers.first_three(chances[ALONE], 0.0),
        }
        for name, known in ((NEAREST, parts.past), (NEAREST_REFITTED, both)):
            led = data.fitting(origin.chosen, known)
            orders[name] = answers.nearest_voted(data.incoming, parts.report, known, led)
        shares = data.fitting(origin.chosen, both).mean(axis=0)
        top = np.argsort(-shares, kind="stable")[:3].astype(np.int32)
        orders[FREQUENT] = np.tile(top, (len(parts.report), 1))
        for name, order in orders.items():
            order[~data.may_draft[parts.report]] = -1
            right = answers.hits(order, good)
            hits.setdefault(name, []).append(np.stack([right[:, 0], right.any(axis=1)], axis=1))
        chats.append(data.turns.chats[parts.report])
        any_right.append(good.any(axis=1))
        drafted.append(backtest._drafted(chances[CONTEXT], good))
    return Measured(
        hits={name: np.concatenate(parts) for name, parts in hits.items()},
        chats=np.concatenate(chats),
        ceiling=float(np.concatenate(any_right).mean()),
        calibration=np.concatenate(drafted),
    )


def in_int8(data: MatchData, encoder: Encoder, cache: Path) -> Fast | None:
    """Templates of the whole history, drafts on its newest tenth; None where the extra is not installed."""
    if not onnx_bert.installed():
        return None
    n = len(data.corpus.ids)
    begin = round(n * (1 - rolling_origin.SPAN))
    parts = data.turns.past(begin), data.turns.within(begin, n, n)
    chosen, _ = coverage.greedy(data.near, data.corpus.counts(), TEMPLATES, LEAST, allowed=data.corpus.candidate)
    before = backtest.fitted(data, chosen, *parts)[0]
    read = int8.open_model(encoder.folder, encoder.fingerprint, cache).encode
    return drafting.in_int8(data, parts[1], before, read)


def report_int8(people: list[Fast | None]) -> None:
    """How often the first draft in int8 is that in float32."""
    known = [fast for fast in people if fast is not None]
    if not known:
        print("    int8: the extra jarvisd[fast] is not installed, so not measured")
        return
    same, turns = sum(fast.same for fast in known), sum(fast.turns for fast in known)
    share = same / turns
    print(
        f"    int8: the same first draft as float32 on {same:,} of {turns:,} turns of the newest tenth, {share:.1%} "
        f"(wanted: {drafting.LEAST_AGREEMENT:.0%}, {'met' if share >= drafting.LEAST_AGREEMENT else 'missed'}); "
        "by person "
        + ", ".join(f"{fast.same / fast.turns:.1%}{'' if fast.agrees else ' (not used)'}" for fast in known)
    )


def report(people: dict[str, Measured]) -> None:
    """The table, and the gains over k-nearest with their intervals."""
    for owner, one in people.items():
        print(
            f"  person {owner[:8]}: {len(one.chats):,} later turns of {len(np.unique(one.chats))} chats, "
            f"on {one.ceiling:.1%} any template is right; first right / one of three right:"
        )
        for name, hits in one.hits.items():
            print(f"    {name:22}  {hits[:, 0].mean():6.2%} / {hits[:, 1].mean():6.2%}")
    for place, name in enumerate(("first right", "one of three right")):
        for rival in (NEAREST, NEAREST_REFITTED, FREQUENT):
            if not all(one.hits[rival][:, place].any() for one in people.values()):
                print(f"    {name}, regression against {rival}: the rival was never right, so there is no ratio")
                continue
            gain, low, high = gained(list(people.values()), RANKED, rival, place)
            verdict = f" (wanted: +{WANTED:.0%}, {'met' if gain >= WANTED else 'missed'})" if rival == NEAREST else ""
            print(
                f"    {name}, regression against {rival}: {gain:+.1%} relative "
                f"(95 % interval {low:+.1%} to {high:+.1%}, paired by chat){verdict}"
            )
    pairs = np.concatenate([one.calibration for one in people.values()])
    print(
        f"    stated chance of the first draft {pairs[:, 0].mean():.2%} on average, right {pairs[:, 1].mean():.2%} "
        f"of {len(pairs):,}"
    )
    for low, high in ((0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 1.01)):
        rows = pairs[(pairs[:, 0] >= low) & (pairs[:, 0] < high)]
        if len(rows):
            stated, right = rows.mean(axis=0)
            print(f"      {low:4.0%} to {min(high, 1):4.0%}: stated {stated:6.1%}, right {right:6.1%} of {len(rows):,}")


def gained(people: list[Measured], name: str, rival: str, place: int) -> tuple[float, float, float]:
    """Relative gain of the mean rate over people, with its 95 % interval."""
    random = np.random.default_rng(0)
    sums = [_by_chat(one, name, rival, place) for one in people]
    draws = np.array([[_rates(rows[random.integers(0, len(rows), len(rows))]) for rows in sums] for _ in range(ROUNDS)])
    gains = draws[:, :, 0].mean(axis=1) / np.maximum(draws[:, :, 1].mean(axis=1), 1e-9) - 1
    whole = np.array([_rates(rows) for rows in sums]).mean(axis=0)
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(whole[0] / whole[1] - 1), float(low), float(high)


def _by_chat(one: Measured, name: str, rival: str, place: int) -> NDArray[np.float64]:
    """(chats, 3): right answers of both, and turns."""
    _, chat = np.unique(one.chats, return_inverse=True)
    columns = (one.hits[name][:, place], one.hits[rival][:, place], np.ones(len(chat)))
    return np.stack([np.bincount(chat, weights=column) for column in columns], axis=1)


def _rates(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    rates: NDArray[np.float64] = rows[:, :2].sum(axis=0) / rows[:, 2].sum()
    return rates


def timed(data: MatchData, origin: Origin) -> str:
    """How long the fit takes, in seconds of processor."""
    parts = backtest._parts(data, origin)
    assert parts is not None
    began = time.process_time()
    fitted = backtest.fitted(data, origin.chosen, parts.past, parts.calibration)[1]
    return f"{time.process_time() - began:.1f} s of processor for {len(parts.past):,} turns, {fitted.epochs} epochs"


def scikit(data: MatchData, origin: Origin) -> None:
    """scikit-learn's LogisticRegression on the same inputs and turns: no offset, no early stopping."""
    from sklearn.linear_model import LogisticRegression

    parts = backtest._parts(data, origin)
    assert parts is not None
    both = np.concatenate([parts.past, data.turns.answered(parts.calibration)]).astype(np.int32)
    label = backtest.replies_of(data, origin.chosen).label[both]
    good = data.fitting(origin.chosen, parts.report)
    ranker = backtest.fitted(data, origin.chosen, parts.past, parts.calibration)[1]
    ours = answers.hits(answers.first_three(ranker.probabilities(data.given.rows(parts.report)), 0.0), good)
    shares = f"first right {ours[:, 0].mean():.2%}, of three {ours.any(axis=1).mean():.2%}"
    print(f"    one origin: {timed(data, origin)}; {shares}")
    for strength in (0.03, 0.1, 0.3, 1.0):
        began = time.process_time()
        model = LogisticRegression(C=strength, max_iter=60).fit(data.given.rows(both), label)
        chances = np.zeros((len(parts.report), len(origin.chosen) + 1), dtype=np.float32)
        chances[:, model.classes_] = model.predict_proba(data.given.rows(parts.report))
        right = answers.hits(answers.first_three(chances[:, 1:], 0.0), good)
        print(
            f"    scikit-learn, C = {strength}: {time.process_time() - began:.1f} s of processor; "
            f"first right {right[:, 0].mean():.2%}, of three {right.any(axis=1).mean():.2%}"
        )
