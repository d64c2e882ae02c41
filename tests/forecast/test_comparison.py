import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dicecast.forecast.comparison import compare_curves
from dicecast.forecast.comparison_json import comparison_document
from dicecast.forecast.curve import Curve, curves_from_scores
from dicecast.forecast.errors import InputError
from dicecast.forecast.families import NAMED
from dicecast.forecast.forecast import Question
from dicecast.forecast.paired import compare_arms, compare_sizes, holm, paired_difference
from dicecast.forecast.population import population_posterior
from dicecast.forecast.quadrature import quadrature
from dicecast.forecast.sampler import sample_posterior
from dicecast.forecast.scores import validate_scores

SIZES = (10, 20, 40, 80, 120)
CASES = 25


def arm(name: str, dm: float, d0: float, k: float, seed: int = 0, test: str = "c") -> list[dict[str, object]]:
    """Scores per test case: a curve, a hard or easy case shared by all arms, and noise."""
    hardness = np.random.default_rng(99).normal(0, 0.08, CASES)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for n, draw in itertools.product(SIZES, range(2)):
        mean = dm - (dm - d0) * np.exp(-k * n) + rng.normal(0, 0.006)
        scores = np.clip(mean + hardness + rng.normal(0, 0.015, CASES), 0, 1)
        key = {"arm": name, "structure": "kidney", "n_cases": n, "draw": draw}
        rows += [{**key, "case": f"{test}{i}", "score": s} for i, s in enumerate(scores)]
    return rows


def curves(*arms: list[dict[str, object]]) -> list[Curve]:
    return curves_from_scores(validate_scores(pd.DataFrame([row for rows in arms for row in rows])))


def test_the_paired_t_test_is_scipys_and_the_interval_holds_its_mean() -> None:
    rng = np.random.default_rng(1)
    first = rng.uniform(0.5, 0.9, 30)
    second = first + rng.normal(0.02, 0.03, 30)
    found = paired_difference(first, second, 0.9, seed=0)
    assert found.p == pytest.approx(stats.ttest_rel(second, first).pvalue)
    assert found.lo < found.mean < found.hi
    assert found.mean == pytest.approx(np.mean(second - first))
    normal = stats.norm.ppf(0.95) * np.std(second - first) / np.sqrt(30)
    assert (found.hi - found.lo) / 2 == pytest.approx(normal, rel=0.1)


def test_a_constant_difference_has_no_p_value() -> None:
    found = paired_difference(np.full(5, 0.5), np.full(5, 0.6), 0.9, seed=0)
    assert found.p is None
    assert found.lo == found.hi == pytest.approx(0.1)


def test_only_the_same_cases_are_paired() -> None:
    with pytest.raises(ValueError, match="the same two or more cases"):
        paired_difference(np.ones(3), np.ones(4), 0.9, seed=0)


def test_holm_corrects_as_by_hand() -> None:
    p_values = [0.01, 0.04, 0.03]
    first, rng = np.zeros(4), np.random.default_rng(0)
    found = [paired_difference(first, rng.normal(size=4), 0.9, 0) for _ in p_values]
    corrected = holm(
        [type(one)(one.mean, one.lo, one.hi, 0.9, p, None, 4) for one, p in zip(found, p_values, strict=True)]
    )
    # smallest x 3; then x 2; then x 1 but never below the one before
    assert [one.p_holm for one in corrected] == pytest.approx([0.03, 0.06, 0.06])


def test_sizes_are_compared_with_the_largest() -> None:
    (curve,) = curves(arm("2d", 0.85, 0.4, 0.03))
    found = compare_sizes(curve, 0.9, 0)
    assert [one.n for one in found] == list(SIZES[:-1])
    assert all(one.n_reference == 120 for one in found)
    assert [one.difference.mean for one in found] == sorted((one.difference.mean for one in found), reverse=True)
    by_hand = curve.case_means(120) - curve.case_means(10)
    assert found[0].difference.mean == pytest.approx(by_hand.mean())


def test_what_other_draws_would_do_is_said_beside_the_test_cases() -> None:
    rng = np.random.default_rng(3)
    keys = itertools.product(("2d", "3d"), (10, 20, 40), range(4), range(5))
    rows = [{"arm": a, "n_cases": n, "draw": draw, "case": f"c{i}", "score": 0.8} for a, n, draw, i in keys]
    pair, found = curves(rows), []
    for _ in range(400):
        runs = [0.8 + rng.normal(0, 0.01, (12, 1)) + rng.normal(0, 0.001, (12, 5)) for _ in pair]
        one, other = (
            replace(curve, cases=np.clip(run, 0, 1), y=run.mean(axis=1)) for curve, run in zip(pair, runs, strict=True)
        )
        found.append(compare_arms(one, other, 0.9, 0)[0])
    spread = np.std([entry.difference.mean for entry in found])
    assert np.mean([entry.draw_sd for entry in found if entry.draw_sd is not None]) == pytest.approx(spread, rel=0.1)
    single = [row for row in arm("2d", 0.85, 0.4, 0.03) if row["draw"] == 0]
    assert compare_sizes(curves(single)[0], 0.9, 0)[0].draw_sd is None


def test_a_size_drawn_once_has_the_spread_of_the_others() -> None:
    scores = {10: (0.5, 0.52, 0.57), 20: (0.6, 0.64), 40: (0.7,)}
    rows = [
        {"n_cases": n, "draw": draw, "case": case, "score": score + more}
        for n, drawn in scores.items()
        for draw, score in enumerate(drawn)
        for case, more in (("a", 0.1), ("b", -0.1))
    ]
    (curve,) = curves(rows)
    first, second = np.var(scores[10], ddof=1), np.var(scores[20], ddof=1)
    pooled = (2 * first + second) / 3
    found = [one.draw_sd for one in compare_sizes(curve, 0.9, 0)]
    assert found == pytest.approx([np.sqrt(first / 3 + pooled), np.sqrt(second / 2 + pooled)])
    assert compare_sizes(curves([row for row in rows if row["case"] == "a"])[0], 0.9, 0) == ()  # one case is no pair


def test_the_clearly_better_arm_is_run() -> None:
    (found,) = compare_curves(curves(arm("2d", 0.75, 0.4, 0.03), arm("3d", 0.88, 0.45, 0.03, seed=1)), Question())
    assert found.arm == "3d"
    assert [one.name for one in found.arms] == ["2d", "3d"]
    np.testing.assert_allclose([sum(row.p_best) for row in found.by_cases], 1)
    (pair,) = found.pairs
    assert pair.shared == CASES
    assert pair.ceiling.lo > 0
    assert all(one.p_second_better > 0.95 for one in pair.scores)
    # 3d reaches what 2d has with 120 cases with far fewer: 0.75 - 0.35 exp(-3.6) = 0.740 at n = ln(0.43 / 0.14) / 0.03
    assert pair.equal.ratio.median < 0.6
    assert pair.equal.cases.lo < np.log(0.43 / 0.14) / 0.03 < pair.equal.cases.hi
    assert pair.equal.p_never < 0.01


def test_equal_arms_cannot_be_told_apart() -> None:
    (found,) = compare_curves(
        curves(arm("2d", 0.85, 0.4, 0.03), arm("3d", 0.85, 0.4, 0.03, seed=5)), Question(), quick=True
    )
    assert found.arm is None
    assert "cannot be told apart" in found.reason
    (pair,) = found.pairs
    assert pair.ceiling.lo < 0 < pair.ceiling.hi
    assert pair.equal.ratio.lo < 1 < pair.equal.ratio.hi


def test_an_arm_against_itself_differs_by_nothing_on_average() -> None:
    rows = arm("2d", 0.85, 0.4, 0.03)
    twin = [{**row, "arm": "twin"} for row in rows]
    (found,) = compare_curves(curves(rows, twin), Question(), quick=True)
    (pair,) = found.pairs
    assert abs(pair.scores[-1].p_second_better - 0.5) < 0.08
    assert all(one.difference.mean == 0 for one in pair.observed)


@pytest.mark.slow
def test_shared_test_cases_narrow_the_difference_for_all_patients() -> None:
    question = Question(scope="population", model=NAMED.name)
    together = curves(arm("2d", 0.8, 0.4, 0.03), arm("3d", 0.85, 0.4, 0.03, seed=1))
    apart = curves(arm("2d", 0.8, 0.4, 0.03), arm("3d", 0.85, 0.4, 0.03, seed=1, test="other"))
    width = []
    for pair in (compare_curves(group, question)[0].pairs[0] for group in (together, apart)):
        width.append(pair.scores[0].interval.hi - pair.scores[0].interval.lo)
    posteriors = [population_posterior(curve, 0, model=NAMED.name, test_seed=0).scores(120) for curve in together]
    assert float(np.asarray(np.corrcoef(posteriors))[0, 1]) > 0.5
    assert width[0] <= width[1]


def test_the_population_is_less_certain_than_the_test_set() -> None:
    (curve,) = curves(arm("2d", 0.85, 0.4, 0.03))
    here, all_patients = quadrature(curve, 0), population_posterior(curve, 0)
    level = curve.case_means(120).std(ddof=1) / np.sqrt(CASES)
    assert all_patients.scores(120).std() == pytest.approx(np.hypot(here.scores(120).std(), level), rel=0.25)
    gains = [one.scores(480) - one.scores(120) for one in (here, all_patients)]
    assert gains[1].std() < 1.5 * gains[0].std()


def test_averaged_scores_shift_by_their_standard_error_over_cases() -> None:
    rows = {"n_cases": [10, 20, 40, 80], "score": [0.5, 0.62, 0.7, 0.75], "se_cases": [0.02] * 4}
    (curve,) = curves_from_scores(validate_scores(pd.DataFrame(rows)))
    here, all_patients = quadrature(curve, 0), population_posterior(curve, 0)
    assert all_patients.scores(80).std() == pytest.approx(np.hypot(here.scores(80).std(), 0.02), rel=0.1)
    np.testing.assert_allclose(
        all_patients.scores(320) - all_patients.scores(80), here.scores(320) - here.scores(80), atol=1e-9
    )


def test_the_population_needs_to_know_the_spread_over_cases() -> None:
    rows = {"n_cases": [10, 20, 40, 80], "score": [0.5, 0.62, 0.7, 0.75]}
    (curve,) = curves_from_scores(validate_scores(pd.DataFrame(rows)))
    with pytest.raises(InputError, match="needs scores of at least 2 test cases, or se_cases"):
        population_posterior(curve, 0)


def test_two_protocols_of_one_arm_are_refused() -> None:
    rows = arm("2d", 0.85, 0.4, 0.03)
    other = [{**row, "protocol": "folds"} for row in rows]
    with pytest.raises(InputError, match="several protocols"):
        compare_curves(curves([{**row, "protocol": "one"} for row in rows], other), Question())


def test_one_arm_alone_still_has_its_sizes_compared() -> None:
    (found,) = compare_curves(curves(arm("2d", 0.85, 0.4, 0.03)), Question(), quick=True)
    assert found.pairs == ()
    assert len(found.sizes[0]) == 4
    document = comparison_document([found], Question(), "1")
    (entry,) = document["comparisons"]
    assert entry["recommendation"]["arm"] is None
    assert len(entry["sizes"]["2d"]) == 4


def test_arms_that_reach_differently_far_are_compared_at_one_horizon() -> None:
    rng = np.random.default_rng(3)
    rows = [
        {"arm": name, "n_cases": n * times, "draw": r, "score": 0.35 + 0.0004 * n * times + 0.005 * rng.normal()}
        for name, times in (("far", 4), ("near", 1))
        for n in (10, 25, 50, 100)
        for r in range(3)
    ]
    far, near = curves(rows)
    (pair,) = compare_curves([far, near], Question())[0].pairs
    first, second = sample_posterior(far, 0).plateau_sizes(0.01), sample_posterior(near, 1000).plateau_sizes(0.01)
    assert pair.horizon == 400
    assert pair.p_second_smaller == np.mean(second < first)
    at_most = np.minimum(second, 400) - np.minimum(first, 400)
    assert pair.plateau.median == np.median(at_most)


def test_averaged_arms_get_test_sets_of_their_own() -> None:
    rng = np.random.default_rng(4)
    rows = [
        {
            "arm": name,
            "n_cases": n,
            "draw": r,
            "score": top - 0.4 * np.exp(-0.03 * n) + 0.003 * rng.normal(),
            "se_cases": 0.03,
        }
        for name, top in (("a", 0.80), ("b", 0.82))
        for n in SIZES
        for r in range(2)
    ]
    found = {
        scope: compare_curves(curves(rows), Question(scope=scope), quick=True)[0]
        for scope in ("test-set", "population")
    }
    assert found["test-set"].by_cases[0].p_best[1] > 0.95
    assert found["population"].by_cases[0].p_best[1] < 0.85
    unlikely = population_posterior(curves([{**row, "score": 0.98} for row in rows])[0])
    assert np.all(unlikely.scores([0, 1e9]) <= 1)


def test_cases_that_both_arms_share_are_paired() -> None:
    rows = arm("3d", 0.85, 0.4, 0.05, 1)
    fewer = [row for row in rows if row["case"] not in ("c0", "c1")]
    (found,) = compare_curves(curves(arm("2d", 0.8, 0.4, 0.05), fewer), Question(), quick=True)
    (pair,) = found.pairs
    assert pair.shared == CASES - 2
    assert {one.difference.cases for one in pair.observed} == {CASES - 2}
    (same,) = compare_curves(
        curves([r for r in arm("2d", 0.8, 0.4, 0.05) if r["case"] not in ("c0", "c1")], fewer), Question()
    )
    assert [one.difference for one in same.pairs[0].observed] == [one.difference for one in pair.observed]


def test_arms_on_different_cases_come_with_a_caveat() -> None:
    (found,) = compare_curves(
        curves(arm("2d", 0.8, 0.4, 0.05), arm("3d", 0.8, 0.4, 0.05, 1, test="d")), Question(), quick=True
    )
    assert "not scored on the very same test cases" in found.reason
