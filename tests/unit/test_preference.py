"""Votes and scores in one posterior: who is asked about next, when it is decided, and how far scores are trusted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks._nights import Ear, vote_session
from jobs.lib.comparison import preference
from jobs.lib.comparison.preference import Agreement, ScorePrior, Vote, VoteLog


def prior(*means: float, sd: float = 0.02) -> ScorePrior:
    return ScorePrior(np.array(means), sd**2 * np.eye(len(means)))


EQUAL = prior(0.7, 0.7, 0.7)


def test_the_last_answer_can_be_taken_back() -> None:
    log = VoteLog().add(Vote(0, 1, 1.0)).add(Vote(1, 2, 0.0))
    assert log.undo().votes == (Vote(0, 1, 1.0),)
    assert len(log.undo().undo().undo()) == 0
    assert np.array_equal(
        preference.hear(EQUAL, log.undo().votes).utility, preference.hear(EQUAL, log.votes[:1]).utility
    )


def test_agreement_counts_the_votes_that_can_tell() -> None:
    """A tie, and a vote on replies with equal scores, say nothing of the scores."""
    votes = [
        Vote(0, 1, 1.0, (0.9, 0.2)),
        Vote(0, 1, 0.0, (0.9, 0.2)),
        Vote(0, 1, 0.5, (0.9, 0.2)),
        Vote(0, 1, 1.0, (0.5, 0.5)),
        Vote(0, 1, 1.0),
    ]
    assert preference.agreement(votes) == Agreement(1, 2)


def test_the_correlation_starts_at_a_half_and_follows_the_votes() -> None:
    """Sheppard: always agreeing is a correlation near 1, agreeing by chance one of 0."""
    assert Agreement(0, 0).correlation == pytest.approx(0.5, abs=0.002)
    assert Agreement(200, 200).correlation > 0.99
    assert Agreement(100, 200).correlation < 0.06
    assert Agreement(0, 20).correlation < 0.001


def test_a_few_votes_that_differ_move_the_correlation_and_do_not_silence_the_scores() -> None:
    one, two, three = (Agreement(0, votes).correlation for votes in (1, 2, 3))
    assert 0.5 > one > two > three > 0.1
    assert Agreement(2, 3).correlation == pytest.approx(0.5, abs=0.02)
    assert Agreement(3, 3).correlation < 0.75


def test_scores_weigh_as_much_as_they_agree_with_the_votes() -> None:
    """The same answers about the models, with scores that agreed or did not: the lead by score counts accordingly."""
    scores = prior(0.8, 0.7, 0.7)
    agreeing, differing = (
        preference.hear(scores, [Vote(1, 2, float(n % 2), pair if n % 2 else pair[::-1]) for n in range(12)])
        for pair in ((0.9, 0.1), (0.1, 0.9))
    )
    assert agreeing.agreement == Agreement(12, 12) and differing.agreement == Agreement(0, 12)
    lead = [heard_from.utility[0] - heard_from.utility[1:].mean() for heard_from in (agreeing, differing)]
    assert lead[0] > 0.8 and lead[1] == pytest.approx(0.0, abs=0.01)


def test_votes_move_the_belief_and_a_tie_does_not() -> None:
    won = preference.hear(EQUAL, [Vote(0, 1, 1.0)] * 6)
    tied = preference.hear(EQUAL, [Vote(0, 1, 0.5)] * 6)
    assert won.leader == 0 and won.posterior.p_best[0] > 0.6
    assert tied.utility == pytest.approx(np.zeros(3), abs=1e-9)


def test_the_posterior_agrees_with_numerical_integration() -> None:
    """Two models, 6 of 8 votes: the normal approximation of the difference against a grid."""
    equal = prior(0.7, 0.7)
    votes = [Vote(0, 1, 1.0)] * 6 + [Vote(0, 1, 0.0)] * 2
    heard = preference.hear(equal, votes)
    _, covariance = equal.utility(0.5)
    variance = 2 * covariance[0, 0]
    grid = np.linspace(-6, 6, 4001)
    weights = np.exp(-(grid**2) / (2 * variance)) / (1 + np.exp(-grid)) ** 6 / (1 + np.exp(grid)) ** 2
    assert heard.utility[0] - heard.utility[1] == pytest.approx(grid @ weights / weights.sum(), abs=0.05)
    assert heard.posterior.p_best[0] == pytest.approx(weights[grid > 0].sum() / weights.sum(), abs=0.02)


def test_asked_is_about_the_leader_and_a_challenger_with_a_real_chance() -> None:
    """A model that is far behind is not asked about, however little is known of it."""
    votes = [Vote(0, 2, 1.0)] * 14 + [Vote(1, 2, 1.0)] * 14 + [Vote(0, 1, 1.0)]
    assert preference.next_pair(preference.hear(EQUAL, votes)) == (0, 1)


def test_where_the_leader_has_no_question_left_the_next_one_is_asked() -> None:
    heard = preference.hear(EQUAL, [Vote(0, 1, 1.0)])
    askable = np.zeros((3, 3), dtype=bool)
    assert preference.next_pair(heard, askable) is None
    askable[1, 2] = askable[2, 1] = True
    assert set(preference.next_pair(heard, askable) or ()) == {1, 2}


def test_answers_left_counts_down_while_they_agree() -> None:
    log = VoteLog()
    left = preference.answers_left(EQUAL, log)
    assert 1 <= left <= preference.MOST_VOTES
    while left:
        leader, rival = preference.next_pair(preference.hear(EQUAL, log.votes)) or (0, 1)
        log = log.add(Vote(leader, rival, 1.0))
        now = preference.answers_left(EQUAL, log)
        assert now < left
        left = now
    assert preference.hear(EQUAL, log.votes).is_decided()


def test_a_session_ends_after_fifteen_answers_at_the_latest() -> None:
    votes = [Vote(n % 3, (n + 1) % 3, 1.0) for n in range(15)]
    assert preference.hear(EQUAL, votes).is_decided()
    assert preference.answers_left(EQUAL, VoteLog(tuple(votes))) == 0


def test_three_equal_by_score_one_preferred_four_times_of_five_is_named_by_thirty_votes() -> None:
    rng = np.random.default_rng(1)
    named = [vote_session(Ear((math.log(4), 0.0, 0.0)), rng).named for _ in range(60)]
    assert named.count(0) >= 36
    assert named.count(0) + named.count(None) >= 59


def test_three_models_that_the_owner_likes_alike_are_hardly_ever_told_apart() -> None:
    rng = np.random.default_rng(1)
    named = [vote_session(Ear((0.0, 0.0, 0.0)), rng).named for _ in range(60)]
    assert named.count(None) >= 56


def test_thirty_votes_among_six_models_leave_a_small_loss() -> None:
    """In units of quality; as the share of votes that the chosen one would lose to the best, 0.035 beyond a half."""
    rng = np.random.default_rng(1)
    lost = []
    for _ in range(60):
        utility = 0.8 * rng.normal(size=6)
        chosen = vote_session(Ear(tuple(utility)), rng).chosen
        lost.append((utility.max() - utility[chosen]) / preference.ODDS_OF_QUALITY)
    assert np.mean(lost) <= 0.03
