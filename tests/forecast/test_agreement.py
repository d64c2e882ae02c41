import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from dicecast.forecast.agreement import (
    between_strata,
    bland_altman,
    paired,
    spearman,
    split_by,
    volume_regression,
)
from dicecast.forecast.errors import InputError

# Peak expiratory flow, l/min, first measurement of 17 subjects by the large and by the mini meter (Bland, Altman 1986).
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def exact(statistic: Callable[..., Any], kind: Literal["samples", "independent", "pairings"], *data: Any) -> float:
    """Two-sided p by scipy's permutation test over every ordering."""
    found = stats.permutation_test(data, statistic, permutation_type=kind, n_resamples=10**6, vectorized=False)
    return float(found.pvalue)


def numbers(value: Any) -> list[float]:
    """Every number that a result holds, however deep."""
    if dataclasses.is_dataclass(value):
        return [n for field in dataclasses.fields(value) for n in numbers(getattr(value, field.name))]
    if isinstance(value, dict):
        return [n for one in value.values() for n in numbers(one)]
    if isinstance(value, tuple | list):
        return [n for one in value for n in numbers(one)]
    return [float(value)] if isinstance(value, int | float) else []


def test_peak_flow_meters_agree_as_published() -> None:
    found = bland_altman(MINI, LARGE, relative=False, unit="l/min")
    assert found.n == 17 and found.unit == "l/min" and found.note == ""
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # the paper takes 2 SD, -79.7 and 75.5, and about 3 SD^2 / n for the variance of a limit
    assert found.lower == pytest.approx(-79.7 + 0.04 * 38.8, abs=0.1)
    assert found.upper == pytest.approx(75.5 - 0.04 * 38.8, abs=0.1)
    assert found.bias_ci and found.lower_ci and found.upper_ci
    assert (found.bias_ci.lo, found.bias_ci.hi) == pytest.approx((-22.0, 17.8), abs=0.1)
    assert (found.lower_ci.hi - found.lower_ci.lo) / 2 == pytest.approx(2.12 * 16.3, rel=0.01)
    assert found.upper_ci.hi - found.upper_ci.lo == pytest.approx(found.lower_ci.hi - found.lower_ci.lo)
    assert volume_regression(MINI, LARGE).r2 == pytest.approx(0.94**2, abs=0.01)
    np.testing.assert_allclose(found.means[:2], [503, 412.5])


def test_the_confidence_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(600):
        reference = rng.uniform(10, 90, 15)
        found = bland_altman(reference, reference + rng.normal(2, 5, 15), relative=False, level=0.9)
        assert found.bias_ci and found.upper_ci
        truth = ((found.bias_ci, 2.0), (found.upper_ci, 2 + 1.96 * 5))
        held.append([interval.lo < true < interval.hi for interval, true in truth])
    assert np.mean(held, axis=0) == pytest.approx([0.9, 0.9], abs=0.04)


def test_percent_is_of_the_reference_or_of_the_mean_of_both() -> None:
    reference, predicted = [10.0, 20.0, 40.0, 5.0], [11.0, 15.0, 40.0, 0.0]
    of_reference = bland_altman(reference, predicted, relative=True)
    np.testing.assert_allclose(of_reference.differences, [10, -25, 0, -100])
    assert of_reference.unit == "%" and of_reference.measured_in == "mL"
    assert of_reference.definition == "predicted minus reference, % of the reference"
    of_mean = bland_altman(reference, predicted, relative=True, relative_to="mean")
    np.testing.assert_allclose(of_mean.differences, [100 / 10.5, -500 / 17.5, 0, -200])
    assert of_mean.definition.endswith("% of the mean of both")


@pytest.mark.parametrize("relative_to", ["reference", "mean"])
def test_a_reference_of_0_has_no_percent_and_is_counted(relative_to: Any) -> None:
    found = bland_altman([0, 10, 20, 30, 0], [5, 11, 22, 36, 0], relative=True, relative_to=relative_to)
    assert (found.n, found.left_out) == (3, 2)
    assert bland_altman([0, 10, 20, 30, 0], [5, 11, 22, 36, 0], relative=False).left_out == 0


def test_the_line_and_its_errors_are_those_of_the_normal_equations() -> None:
    rng = np.random.default_rng(5)
    x = rng.gamma(2, 30, 40)
    y = 0.9 * x + 3 + rng.normal(0, 6, 40)
    found = volume_regression(x, y)
    design = np.column_stack([np.ones(40), x])
    (intercept, slope), (rest,), *_ = np.linalg.lstsq(design, y, rcond=None)
    errors = np.sqrt(rest / 38 * np.diag(np.linalg.inv(design.T @ design)))
    assert (found.intercept, found.slope) == pytest.approx((intercept, slope))
    assert (found.intercept_se, found.slope_se) == pytest.approx(tuple(errors))
    assert found.r2 == pytest.approx(1 - rest / np.sum((y - y.mean()) ** 2))
    assert found.n == 40


def test_concordance_punishes_what_a_correlation_forgives() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert volume_regression(x, x).concordance == pytest.approx(1)
    shifted = volume_regression(x, x + 1)
    assert shifted.r2 == pytest.approx(1)
    assert shifted.concordance == pytest.approx(2 * 1.25 / (1.25 + 1.25 + 1))  # population variances, Lin 1989
    assert volume_regression(x, -x).concordance == pytest.approx(-2.5 / (2.5 + 25))


def test_a_paired_test_is_scipys_on_many_cases() -> None:
    rng = np.random.default_rng(1)
    a = rng.uniform(0.5, 0.9, 40)
    b = a + rng.normal(0.02, 0.05, 40)
    found = paired(a, b)
    oracle = stats.ttest_rel(b, a)
    assert found.p_t == pytest.approx(oracle.pvalue)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(b, a).pvalue)
    ends = oracle.confidence_interval(0.95)
    assert found.mean_ci and (found.mean_ci.lo, found.mean_ci.hi) == pytest.approx((ends.low, ends.high))
    assert found.mean == pytest.approx(np.mean(b - a))


@pytest.mark.parametrize(
    "differences",
    [[0.1, 0.2, -0.3, 0.4, 0.5], [0.1, 0.1, -0.1, 0.2, 0.2, 0.3, 0.0], [0.1, 0.1, 0.1, 0.0], [0.1, -0.1, 0.2, -0.2]],
)
def test_small_signed_rank_tests_count_every_sign_ties_or_not(differences: list[float]) -> None:
    first = np.full(len(differences), 0.6)  # 0.6 + 0.1 - 0.6 is not 0.1: rounding must not break ties
    found = paired(first, first + differences)
    size = np.array([d for d in differences if d != 0])
    ranks = stats.rankdata(np.abs(size))
    assert found.p_wilcoxon == pytest.approx(exact(np.sum, "samples", np.sign(size) * ranks))
    assert found.zeros == differences.count(0.0)


def test_the_exact_signed_rank_test_is_the_published_table() -> None:
    # all of n differences positive: p = 2 / 2^n
    for n in (5, 8, 12):
        assert paired(np.zeros(n), np.arange(1.0, n + 1)).p_wilcoxon == pytest.approx(2 / 2**n)


def test_no_difference_at_all_is_p_1_by_ranks_and_no_t_test() -> None:
    found = paired([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    assert (found.mean, found.p_t, found.p_wilcoxon, found.mean_ci) == (0, None, 1.0, None)
    assert "all differences are 0" in found.note and "no t-test" in found.note
    shifted = paired([0.5, 0.6, 0.7], [0.6, 0.7, 0.8])
    assert shifted.p_t is None and shifted.p_wilcoxon == pytest.approx(2 / 2**3)
    assert "the same" in shifted.note


def test_mann_whitney_counts_pairs() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 20, 30) / 20, rng.integers(4, 24, 25) / 20
    found = between_strata(a, b)
    wins = sum((x > y) + 0.5 * (x == y) for x, y in itertools.product(a, b))
    assert found.u == pytest.approx(wins)
    assert found.effect == pytest.approx(wins / (30 * 25))
    assert found.p == pytest.approx(stats.mannwhitneyu(a, b).pvalue)
    assert (found.median_a, found.median_b) == (np.median(a), np.median(b))
    assert between_strata(b, a).effect == pytest.approx(1 - wins / (30 * 25))


def test_many_scores_without_ties_are_tested_exactly() -> None:
    # of 28 x 29 pairs 28 go the other way; the number of ways to have at most so many: partitions into a 28 x 29 box
    low, high = np.arange(28) + 1.0, np.arange(29) + 100.0
    low[-1] = 128.5
    ways = np.zeros(29, dtype=object)
    ways[0] = 1
    for part in range(1, 29):  # a box of 28 x 29 leaves every partition of at most 28 whole
        for total in range(part, 29):
            ways[total] += ways[total - part]
    assert between_strata(low, high).u == 29
    low[-1] = 127.5
    assert between_strata(low, high).u == 28
    assert between_strata(low, high).p == pytest.approx(2 * int(ways.sum()) / math.comb(57, 28))


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]), ([0.0, 0.0, 0.5, 0.7], [0.0, 0.8, 0.9]), ([0.2, 0.2], [0.2, 0.4, 0.4])],
)
def test_small_strata_are_tested_over_every_way_to_divide_them(a: list[float], b: list[float]) -> None:
    found = between_strata(a, b)
    ranks = stats.rankdata(a + b)
    assert found.p == pytest.approx(exact(lambda x, _: x.sum(), "independent", ranks[: len(a)], ranks[len(a) :]))
    if len({*a, *b}) == len(a) + len(b):
        assert found.p == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)


def test_a_stratum_or_a_difference_of_one_case_is_tested_too() -> None:
    assert between_strata([0.1], [0.5, 0.6, 0.7]).p == pytest.approx(2 / 4)
    assert between_strata([0.55], [0.5, 0.6, 0.7]).p == 1.0
    assert between_strata([0.1], [0.5]).p == 1.0
    assert paired([0.5, 0.5, 0.5], [0.5, 0.5, 0.6]).p_wilcoxon == 1.0


def test_equal_strata_are_p_1_and_an_empty_one_has_none() -> None:
    same = between_strata([0.5] * 20, [0.5] * 20)
    assert (same.p, same.effect) == (1.0, 0.5)
    empty = between_strata([], [0.5, 0.6])
    assert (empty.u, empty.p, empty.median_a, empty.median_b) == (None, None, None, 0.55)
    assert "without cases" in empty.note


def test_rank_correlation_is_pearsons_of_ranks() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.integers(0, 15, 30), rng.integers(0, 15, 30)
    found = spearman(a, b)
    assert found.r == pytest.approx(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])
    assert found.p == pytest.approx(stats.spearmanr(a, b).pvalue)


@pytest.mark.parametrize("b", [[1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5], [1, 1, 2, 2, 3, 3], [3, 1, 1, 1, 2, 5]])
def test_small_rank_correlations_count_every_ordering(b: list[float]) -> None:
    a, ranks = np.arange(1.0, 7), stats.rankdata(b)
    assert spearman(a, b).p == pytest.approx(exact(lambda one: one @ a, "pairings", ranks))
    # all six in order: two of 720 orderings are as extreme, where Student's t would say p = 0
    assert spearman(a, a).p == pytest.approx(2 / math.factorial(6))


def test_splits_name_their_cuts_in_words_and_units() -> None:
    volumes = [2.0, 24.7, 24.8, 300.0]
    found = split_by(volumes)
    assert found.cuts == (24.75,)
    assert found.names == ("<= 24.8 mL", "> 24.8 mL")
    assert found.labels == ("<= 24.8 mL",) * 2 + ("> 24.8 mL",) * 2
    quartiles = split_by(np.arange(1, 101) * 12.0, (0.25, 0.5, 0.75))
    assert quartiles.names == ("<= 309 mL", "> 309 to 606 mL", "> 606 to 903 mL", "> 903 mL")
    assert [quartiles.labels.count(name) for name in quartiles.names] == [25] * 4
    assert split_by([0.011, 0.0112, 0.0113], unit="L").names == ("<= 0.0112 L", "> 0.0112 L")


def test_cuts_that_look_alike_get_more_digits_and_cuts_that_coincide_are_one() -> None:
    close = split_by([100.0, 100.01, 100.02, 100.03], (0.25, 0.5, 0.75))
    assert len(set(close.names)) == 4
    assert split_by([1.0] * 8 + [5.0], (0.25, 0.5, 0.75)).names == ("<= 1.00 mL", "> 1.00 mL")
    constant = split_by([5.0, 5.0])
    assert constant.names == ("<= 5.00 mL",) and constant.cuts == ()


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=40), st.sets(st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])))
def test_every_value_is_in_the_stratum_its_cuts_say(values: list[float], quantiles: set[float]) -> None:
    found = split_by(values, sorted(quantiles or {0.5}))
    edges = [-np.inf, *found.cuts, np.inf]
    assert len(found.names) == len(set(found.names)) == len(found.cuts) + 1
    assert set(found.labels) == set(found.names)  # no stratum is empty
    for value, label in zip(values, found.labels, strict=True):
        at = found.names.index(label)
        assert edges[at] < value <= edges[at + 1]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: bland_altman([1, 2, 3], [1, 2], relative=False), "found 3 and 2"),
        (lambda: bland_altman([1, np.nan], [1, 2], relative=False), "1 undefined"),
        (lambda: bland_altman([1, -2], [1, 2], relative=True), "found a negative one"),
        (lambda: volume_regression([[1, 2]], [[1, 2]]), r"shape \(1, 2\)"),
        (lambda: paired([1, np.inf], [1, 2]), "1 undefined"),
        (lambda: split_by([]), "found 0 value"),
        (lambda: split_by([1, 2], (0, 0.5)), "between 0 and 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        wrong()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_cases_give_none_and_say_so(n: int) -> None:
    a, b = np.arange(1.0, n + 1), np.arange(2.0, n + 2) ** 2
    limits, line, test, rank = bland_altman(a, b, relative=True), volume_regression(a, b), paired(a, b), spearman(a, b)
    for found in (limits, line, test, rank):
        assert found.n == n
        assert f"{n} case(s)" in found.note
        assert np.isfinite(numbers(found)).all()
    assert limits.lower is None and line.r2 is None and test.p_t is None and rank.p is None
    assert (limits.bias is None) == (n == 0)
    assert (limits.sd is None) == (n < 2)


@pytest.mark.parametrize("constant", [0.0, 0.7, 1e6])
def test_constant_values_give_none_and_say_so(constant: float) -> None:
    flat, rising = np.full(20, constant), np.linspace(1, 20, 20)
    assert volume_regression(flat, rising).slope is None
    missed = volume_regression(rising, flat)
    assert (missed.r2, missed.slope, missed.intercept, missed.slope_se) == (None, 0, constant, None)
    assert missed.concordance == 0 and "no R^2" in missed.note
    assert volume_regression(flat, flat).concordance is None
    assert spearman(flat, rising).r is None
    limits = bland_altman(rising, rising + constant, relative=False)
    assert (limits.sd, limits.bias_ci) == (0, None) and limits.lower == limits.upper == pytest.approx(constant)
    assert "no spread" in limits.note
    assert bland_altman(rising, 1.1 * rising, relative=True).sd == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 1e3), st.floats(0, 1e3)), min_size=3, max_size=12), st.randoms())
def test_the_order_of_the_cases_and_the_unit_of_volume_do_not_matter(
    pairs: list[tuple[float, float]], rng: Any
) -> None:
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    (x, y), (u, v) = zip(*pairs, strict=True), zip(*shuffled, strict=True)
    first, second = (bland_altman(*np.array(one), relative=True) for one in ((x, y), (u, v)))
    litres = bland_altman(np.array(x) / 1000, np.array(y) / 1000, relative=True, unit="L")
    for other in (second, litres):
        assert (other.bias, other.sd) == pytest.approx((first.bias, first.sd), rel=1e-6, abs=1e-6)
    assert spearman(x, y).p == pytest.approx(spearman(u, v).p)
    there, back = paired(x, y), paired(y, x)
    assert there.p_wilcoxon == pytest.approx(back.p_wilcoxon)
    assert there.mean == pytest.approx(-(back.mean or 0.0))
