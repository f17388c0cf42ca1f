"""Intervals agree with scipy and with published worked examples, and cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jobs import statistics


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (33, 528), (13, 13), (7, 13), (0, 40)])
def test_wilson_agrees_with_scipy(successes: int, n: int) -> None:
    """The score interval is the one of scipy.stats.binomtest."""
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert statistics.wilson(successes, n) == pytest.approx([expected.low, expected.high], abs=1e-12)


def test_wilson_agrees_with_a_published_example() -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I: 81 of 263 and 15 of 148."""
    assert statistics.wilson(81, 263) == pytest.approx([0.2553, 0.3662], abs=5e-5)
    assert statistics.wilson(15, 148) == pytest.approx([0.0624, 0.1605], abs=5e-5)


def test_wilson_of_nothing_is_no_interval() -> None:
    """No trials, no interval; more successes than trials is an error."""
    assert statistics.wilson(0, 0) is None
    with pytest.raises(ValueError, match="2 successes in 1"):
        statistics.wilson(2, 1)


def test_t_interval_agrees_with_scipy() -> None:
    """The mean's interval is the one of scipy.stats.ttest_1samp."""
    values = [0.1, -0.05, 0.22, 0.13, 0.02]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = statistics.t_interval(values)
    assert found is not None
    assert found.mean == pytest.approx(float(np.mean(values)))
    assert found.interval == pytest.approx([expected.low, expected.high])


def test_paired_t_agrees_with_students_own_example() -> None:
    """Student (1908), section IX: hours of sleep gained with two drugs; t = 4.0621 on 9 degrees."""
    gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = statistics.t_interval(gained)
    assert found is not None and found.low is not None
    assert found.mean == pytest.approx(1.58)
    assert found.low == pytest.approx(1.58 - 2.262157 * 1.58 / 4.0621, abs=1e-4)
    assert found.above_zero and not found.below_zero


def test_equal_values_have_an_interval_of_no_width() -> None:
    """All differences 0 give [0, 0], which is neither above nor below zero."""
    found = statistics.t_interval([0.0] * 5)
    assert found == statistics.Estimate(0.0, 0.0, 0.0, 5)
    assert not found.above_zero and not found.below_zero


def test_rounding_errors_are_no_difference() -> None:
    """Fractions summed in another order do not become a difference."""
    noise = (0.1 + 0.2) - 0.3
    found = statistics.clustered_interval({str(cluster): [noise, noise] for cluster in range(5)})
    assert found == statistics.Estimate(0.0, 0.0, 0.0, 5)


def test_one_value_has_a_mean_and_no_interval() -> None:
    """One cluster says nothing about the spread."""
    found = statistics.t_interval([0.4])
    assert found == statistics.Estimate(0.4, None, None, 1)
    assert found.interval is None and not found.above_zero
    assert statistics.t_interval([]) is None


def test_clusters_count_not_observations() -> None:
    """Three prompts of a scenario are one independent value; an empty scenario is none."""
    found = statistics.clustered_interval({"a": [1.0, 0.0], "b": [1.0, 1.0, 1.0], "c": []})
    assert found is not None
    assert (found.mean, found.n) == (0.75, 2)


def test_t_interval_over_five_clusters_covers_what_it_says() -> None:
    """13 prompts in 5 scenarios that share half their variance: 95 of 100 intervals hold the truth."""
    random = np.random.default_rng(20261122)
    nights, sizes = 4000, [3, 3, 3, 2, 2]
    means = np.stack(
        [
            random.normal(0, 0.5**0.5, nights) + random.normal(0, 0.5**0.5, (nights, size)).mean(axis=1)
            for size in sizes
        ],
        axis=1,
    )
    spread = statistics._t_quantile(0.95, 4) * means.std(axis=1, ddof=1) / 5**0.5
    covered = float(np.mean(np.abs(means.mean(axis=1)) <= spread))
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("models", [2, 3, 6])
def test_a_winner_against_each_needs_no_further_correction(models: int) -> None:
    """Equal models: one beats every other one in at most 5 % of the nights; that is correction enough."""
    random = np.random.default_rng(7)
    nights = 3000
    scores = random.normal(0, 1, (nights, models, 5))
    differences = scores[:, :, None, :] - scores[:, None, :, :]
    spread = statistics._t_quantile(0.95, 4) * differences.std(axis=3, ddof=1) / 5**0.5
    better = (differences.mean(axis=3) - spread > 0) | np.eye(models, dtype=bool)
    assert float(np.mean(better.all(axis=2).any(axis=1))) <= 0.06


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("n", [1, 2, 13, 20])
def test_quantiles_are_numpys(share: float, n: int) -> None:
    """Linear interpolation, type 7."""
    values = list(np.random.default_rng(n).normal(size=n))
    assert statistics.quantile(values, share) == pytest.approx(float(np.quantile(values, share)))


def test_p95_needs_twenty_values() -> None:
    """The 95th percentile of 19 values would be the largest but one, so there is none."""
    assert statistics.p95([1.0] * 19) is None
    assert statistics.p95(list(range(21))) == 19
    assert (statistics.median([]), statistics.mean([])) == (None, None)
