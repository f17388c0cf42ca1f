"""Intervals agree with scipy and with published worked examples, and cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from jobs.lib import stats


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (33, 528), (13, 13), (7, 13), (0, 40)])
def test_wilson_agrees_with_scipy(successes: int, n: int) -> None:
    """The score interval is the one of scipy.stats.binomtest."""
    expected = scipy_stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert stats.wilson(successes, n) == pytest.approx([expected.low, expected.high], abs=1e-12)


def test_wilson_agrees_with_a_published_example() -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I: 81 of 263 and 15 of 148."""
    assert stats.wilson(81, 263) == pytest.approx([0.2553, 0.3662], abs=5e-5)
    assert stats.wilson(15, 148) == pytest.approx([0.0624, 0.1605], abs=5e-5)


def test_wilson_of_nothing_is_no_interval() -> None:
    """No trials, no interval; more successes than trials is an error."""
    assert stats.wilson(0, 0) is None
    with pytest.raises(ValueError, match="2 successes in 1"):
        stats.wilson(2, 1)


def test_t_interval_agrees_with_scipy() -> None:
    """The mean's interval is the one of scipy.stats.ttest_1samp."""
    values = [0.1, -0.05, 0.22, 0.13, 0.02]
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    estimate = stats.t_interval(values)
    assert estimate is not None
    assert estimate.mean == pytest.approx(float(np.mean(values)))
    assert estimate.interval == pytest.approx([expected.low, expected.high])


def test_paired_t_agrees_with_students_own_example() -> None:
    """Student (1908), section IX: hours of sleep gained with two drugs; t = 4.0621 on 9 degrees."""
    gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    estimate = stats.t_interval(gained)
    assert estimate is not None and estimate.low is not None
    assert estimate.mean == pytest.approx(1.58)
    assert estimate.low == pytest.approx(1.58 - 2.262157 * 1.58 / 4.0621, abs=1e-4)
    assert estimate.above_zero and not estimate.below_zero


def test_equal_values_have_an_interval_of_no_width() -> None:
    """All differences 0 give [0, 0], which is neither above nor below zero."""
    estimate = stats.t_interval([0.0] * 5)
    assert estimate == stats.Estimate(0.0, 0.0, 0.0, 5)
    assert not estimate.above_zero and not estimate.below_zero


def test_rounding_errors_are_no_difference() -> None:
    """Fractions summed in another order do not become a difference."""
    noise = (0.1 + 0.2) - 0.3
    estimate = stats.clustered_interval({str(cluster): [noise, noise] for cluster in range(5)})
    assert estimate == stats.Estimate(0.0, 0.0, 0.0, 5)


def test_one_value_has_a_mean_and_no_interval() -> None:
    """One cluster says nothing about the spread."""
    estimate = stats.t_interval([0.4])
    assert estimate == stats.Estimate(0.4, None, None, 1)
    assert estimate.interval is None and not estimate.above_zero
    assert stats.t_interval([]) is None


def test_clusters_count_not_observations() -> None:
    """Three prompts of a scenario are one independent value; an empty scenario is none."""
    estimate = stats.clustered_interval({"a": [1.0, 0.0], "b": [1.0, 1.0, 1.0], "c": []})
    assert estimate is not None
    assert (estimate.mean, estimate.n) == (0.75, 2)


@pytest.mark.parametrize("sizes", [[3, 3, 3, 2, 2], [3, 3, 3, 3, 2]])
def test_intervals_over_five_clusters_cover_what_they_say(sizes: list[int]) -> None:
    """13 or 14 prompts in 5 scenarios that share half their variance: 95 of 100 intervals hold the truth."""
    random = np.random.default_rng(20261122)
    nights = 4000
    prompts = [random.normal(0, 0.5**0.5, (nights, 1)) + random.normal(0, 0.5**0.5, (nights, size)) for size in sizes]
    covered = 0
    for night in zip(*(cluster.tolist() for cluster in prompts), strict=True):
        estimate = stats.clustered_interval({str(place): cluster for place, cluster in enumerate(night)})
        assert estimate is not None
        covered += not estimate.above_zero and not estimate.below_zero
    assert 0.93 <= covered / nights <= 0.97


@pytest.mark.parametrize("models", [2, 3, 6])
def test_a_winner_against_each_needs_no_further_correction(models: int) -> None:
    """Equal models: one beats every other one in at most 5 % of the nights; that is correction enough."""
    random = np.random.default_rng(7)
    nights = 3000
    scores = random.normal(0, 1, (nights, models, 5))
    differences = scores[:, :, None, :] - scores[:, None, :, :]
    spread = stats._t_quantile(0.95, 4) * differences.std(axis=3, ddof=1) / 5**0.5
    better = (differences.mean(axis=3) - spread > 0) | np.eye(models, dtype=bool)
    assert float(np.mean(better.all(axis=2).any(axis=1))) <= 0.06


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("n", [1, 2, 13, 20])
def test_quantiles_are_numpys(share: float, n: int) -> None:
    """Linear interpolation, type 7."""
    values = list(np.random.default_rng(n).normal(size=n))
    assert stats.quantile(values, share) == pytest.approx(float(np.quantile(values, share)))


def test_p95_needs_twenty_values() -> None:
    """The 95th percentile of 19 values would be the largest but one, so there is none."""
    assert stats.p95([1.0] * 19) is None
    assert stats.p95(list(range(21))) == 19
    assert (stats.median([]), stats.mean([])) == (None, None)


# --------------------------------------------------------------------------------------------- tests of differences

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]  # Student (1908), section IX


@pytest.mark.parametrize("values", [SLEEP, [0.1, -0.05, 0.22, 0.13, 0.02], [-1.0, -2.0], [0.5, -0.5]])
def test_t_p_agrees_with_scipy(values: list[float]) -> None:
    """The p of scipy.stats.ttest_1samp; under 0.05 exactly where the interval excludes 0."""
    p, estimate = stats.t_p(values), stats.t_interval(values)
    assert p == pytest.approx(float(scipy_stats.ttest_1samp(values, 0).pvalue))
    assert estimate is not None and p is not None
    assert (p < 0.05) == (estimate.above_zero or estimate.below_zero)


def test_t_p_agrees_with_students_own_example() -> None:
    """t = 4.0621 on 9 degrees: two-sided p = 0.00283, as R prints it for the same data (help page of `sleep`)."""
    assert stats.t_p(SLEEP) == pytest.approx(0.002833, abs=1e-6)


@pytest.mark.parametrize(("wins", "losses"), [(10, 0), (11, 1), (4, 13), (5, 5), (60, 31)])
def test_the_exact_sign_test_is_scipys(wins: int, losses: int) -> None:
    """scipy.stats.binomtest against a fair coin; no throw says nothing."""
    assert stats.binomial_p(wins, losses) == pytest.approx(scipy_stats.binomtest(wins, wins + losses).pvalue)
    assert stats.binomial_p(0, 0) == 1.0


def test_differences_of_zero_have_p_one_and_no_warning() -> None:
    """Both tests, on differences that are all 0; a constant other difference has no spread, so p = 0."""
    assert stats.t_p([0.0] * 5) == 1.0
    assert stats.sign_flip([0.0] * 5) == stats.SignFlip(1.0, 0.0625)
    assert stats.t_p([0.1 + 0.2 - 0.3] * 5) == 1.0
    assert stats.t_p([0.1] * 5) == 0.0
    assert (stats.t_p([0.3]), stats.t_p([]), stats.sign_flip([])) == (None, None, None)


@pytest.mark.parametrize("values", [SLEEP, [0.1, -0.05, 0.22, 0.13, 0.02], [1.0, 1.0, -1.0, 0.0]])
def test_sign_flips_agree_with_scipy(values: list[float]) -> None:
    """The exact p of scipy.stats.permutation_test, samples paired with zeros."""
    expected = scipy_stats.permutation_test(
        (np.array(values), np.zeros(len(values))),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    flip = stats.sign_flip(values)
    assert flip is not None and flip.p == pytest.approx(float(expected.pvalue))


def test_sign_flips_agree_with_fishers_own_example() -> None:
    """Darwin's fifteen pairs of plants, in eighths of an inch: 863 of 16,384 one-sided, doubled.

    R. A. Fisher, The Design of Experiments (1935), section 21.
    """
    darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    flip = stats.sign_flip(darwin)
    assert flip == stats.SignFlip(2 * 863 / 2**15, 2 / 2**15)


def test_five_clusters_cannot_reach_five_percent() -> None:
    """All in one direction: the smallest p there is, 2 / 2^5."""
    assert stats.sign_flip([0.1, 0.2, 0.3, 0.1, 0.2]) == stats.SignFlip(0.0625, 0.0625)


def test_many_clusters_are_flipped_at_random_and_repeatably() -> None:
    """Above 16 values: near the exact p, never 0, the same every time."""
    values = list(np.random.default_rng(3).normal(0.3, 1, 17))
    flips = 1 - 2 * (np.arange(2**16)[:, None] >> np.arange(17) & 1)
    exact = float(np.mean(np.abs(flips @ np.array(values)) >= abs(sum(values)) - 1e-12))
    flip = stats.sign_flip(values)
    assert flip is not None and flip == stats.sign_flip(values)
    assert flip.p == pytest.approx(exact, abs=0.015)
    sure = stats.sign_flip([1.0] * 40)
    assert sure == stats.SignFlip(1e-4, 1e-4)


def test_holm_agrees_with_a_worked_example() -> None:
    """p = 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02, as in Wikipedia's "Holm-Bonferroni method"."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.6, 0.9]) == [1.0, 1.0]
    assert stats.holm([]) == []


def test_letters_are_shared_by_what_is_not_separated() -> None:
    """A chain: a ties with b, b with c, c with d; a letter says exactly that."""
    letters = stats.compact_letter_display("abcd", [("a", "c"), ("a", "d"), ("b", "d")])
    assert letters == {"a": "a", "b": "ab", "c": "bc", "d": "c"}
    assert stats.compact_letter_display("abc", []) == {"a": "a", "b": "a", "c": "a"}
    assert stats.compact_letter_display("abc", [("a", "b"), ("c", "b"), ("a", "c")]) == {"a": "a", "b": "b", "c": "c"}


@pytest.mark.parametrize("seed", range(25))
def test_letters_never_contradict_the_pairs(seed: int) -> None:
    """Whatever is separated, transitive or not: two share a letter exactly where they are not; none is spare."""
    random = np.random.default_rng(seed)
    keys = "abcdefg"
    pairs = [(x, y) for i, x in enumerate(keys) for y in keys[i + 1 :]]
    separated = [pair for pair in pairs if random.uniform() < 0.4]
    letters = stats.compact_letter_display(keys, separated)
    for x, y in pairs:
        assert bool(set(letters[x]) & set(letters[y])) == ((x, y) not in separated)
    groups = [{key for key in keys if letter in letters[key]} for letter in set("".join(letters.values()))]
    assert not any(group < other for group in groups for other in groups)


@pytest.mark.parametrize(("difference", "spread"), [(0.15, 0.25), (0.1, 0.25), (0.05, 0.25)])
def test_clusters_needed_have_the_power_that_was_asked_for(difference: float, spread: float) -> None:
    """Against the exact power of the t test, from the noncentral distribution: 80 %, within 1.5 points."""
    n = stats.clusters_needed(difference, spread)
    assert n is not None
    bound, shift = scipy_stats.t.ppf(0.975, n - 1), difference / spread * n**0.5
    power = scipy_stats.nct.sf(bound, n - 1, shift) + scipy_stats.nct.cdf(-bound, n - 1, shift)
    assert power == pytest.approx(0.8, abs=0.015)


def test_no_number_of_clusters_shows_what_is_not_there() -> None:
    """No difference, or one that no night can show."""
    assert stats.clusters_needed(0.0, 0.25) is None
    assert stats.clusters_needed(0.001, 0.25) is None
    assert stats.clusters_needed(0.1, 0.0) == 2


# ---------------------------------------------------------------------------------------------- paired comparisons
