"""Ask and tell: a campaign as a value."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicecast.forecast.campaign import Campaign
from dicecast.forecast.costs import Costs
from dicecast.forecast.errors import InputError
from dicecast.forecast.goal import Goal


def pilots(sizes: list[int], draws: int = 3, seed: int = 0, k: float = 0.02) -> pd.DataFrame:
    rows = []
    for n, draw in itertools.product(sizes, range(draws)):
        noise = 0.004 * np.random.default_rng([seed, n, draw]).standard_normal()
        rows.append((n, draw, 0.85 - 0.5 * np.exp(-k * n) + noise))
    return pd.DataFrame(rows, columns=["n_cases", "draw", "score"])


FIRST, LATER = [10, 20, 40], [80]


def test_a_campaign_goes_from_pilots_to_a_stop() -> None:
    campaign = Campaign(n_max=640, costs=Costs(per_case=1, per_round=10)).tell(pilots(FIRST))
    rounds = 0
    while (found := campaign.recommend()).code == "annotate":
        assert found.batch <= (campaign.left or 0)
        now = campaign.n_annotated + found.batch
        campaign = campaign.tell(pilots([now]))
        rounds += 1
        assert rounds < 8
    assert found.code == "stop_plateau"
    assert campaign.n_annotated < 640
    (kept,) = campaign.promises().values()
    assert len(kept) == rounds
    assert kept[0].promise.n == campaign.pools[1]


def test_the_order_of_telling_makes_no_difference() -> None:
    parts = [pilots([n]) for n in (10, 20, 40, 80)]
    campaigns = [Campaign(n_max=140) for _ in range(2)]
    for part in parts:
        campaigns[0] = campaigns[0].tell(part)
    for part in reversed(parts):
        campaigns[1] = campaigns[1].tell(part.iloc[::-1])
    one, other = campaigns
    assert one.to_json() == other.to_json()
    assert one.recommend().document() == other.recommend().document()


@settings(max_examples=10, deadline=None)
@given(order=st.permutations([10, 20, 40, 80]))
def test_any_order_gives_the_same_state(order: list[int]) -> None:
    campaign, sorted_ = Campaign(), Campaign()
    for size in order:
        campaign = campaign.tell(pilots([size]))
    for size in sorted(order):
        sorted_ = sorted_.tell(pilots([size]))
    assert campaign.to_json() == sorted_.to_json()


def test_telling_twice_is_refused_and_changes_nothing() -> None:
    campaign = Campaign().tell(pilots(FIRST))
    with pytest.raises(InputError, match="9 of these scores were told before"):
        campaign.tell(pilots(FIRST))
    assert campaign.scores is not None
    assert len(campaign.scores) == 9


def test_a_campaign_survives_being_written_down() -> None:
    campaign = Campaign(
        goal=Goal("target", 0.83),
        goals={"all": Goal("target", 0.82)},
        n_max=90,
        costs=Costs(per_case=3, budget=90),
        eps=0.02,
    ).tell(pilots(FIRST))
    again = Campaign.from_json(campaign.to_json())
    assert again == campaign
    assert again.to_json() == campaign.to_json()
    assert hash(again) == hash(campaign)
    assert again != campaign.tell(pilots(LATER)) and again != campaign.to_json()
    assert again.recommend().document() == campaign.recommend().document()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 2}', '{"format": 1, "scores": null}'])
def test_text_that_is_no_campaign_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a campaign must"):
        Campaign.from_json(text)


def test_asking_before_telling_is_refused() -> None:
    with pytest.raises(InputError, match="nothing was told"):
        Campaign().recommend()


def test_two_sizes_ask_for_pilots() -> None:
    assert Campaign().tell(pilots([10, 20])).recommend().code == "train_pilots"


def test_the_budget_is_spent_by_what_was_annotated() -> None:
    costs = Costs(per_case=1, per_round=10, budget=60)
    campaign = Campaign(n_max=640, costs=costs).tell(pilots(FIRST))
    first = campaign.recommend()
    assert first.code == "annotate"
    assert first.batch <= 50
    spent = campaign.tell(pilots([90]))
    assert spent.recommend().code == "stop_budget"


def test_the_deadline_ends_a_campaign() -> None:
    campaign = Campaign(n_max=640, deadline_rounds=1).tell(pilots(FIRST)).tell(pilots(LATER))
    assert campaign.recommend().code == "stop_budget"
    none = Campaign(n_max=640, deadline_rounds=0).tell(pilots(FIRST))
    assert none.recommend().code == "stop_budget"


def test_the_forecast_of_a_campaign_looks_as_far_as_there_are_cases() -> None:
    last = Campaign(n_max=41).tell(pilots(FIRST)).recommend().evidence["p_gain_below_eps"]
    assert last > 0.9  # one case more adds little, those up to the horizon of the pilots much


@pytest.mark.parametrize(
    "wrong",
    [{"n_max": 0}, {"start": 50, "n_max": 40}, {"draws": 0}, {"eps": 0.0}, {"look_ahead": 0}, {"deadline_rounds": -2}],
)
def test_impossible_campaigns_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Campaign(**wrong)  # type: ignore[arg-type]


def test_more_cases_than_there_are_is_refused() -> None:
    campaign = Campaign(n_max=50).tell(pilots(FIRST))
    with pytest.raises(InputError, match="at least the 80 annotated, found 50"):
        campaign.tell(pilots(LATER))


def test_further_pilots_at_smaller_sizes_are_no_round() -> None:
    costs = Costs(per_case=1, per_round=10, budget=60)
    campaign = Campaign(start=40, n_max=640, costs=costs).tell(pilots(FIRST))
    more = pilots([20], seed=1).assign(draw=[3, 4, 5])
    for later in (campaign.tell(more), campaign.tell(more, n_annotated=int(more["n_cases"].max() * 2))):
        assert later.pools == (40,)
        assert later.recommend().cost == campaign.recommend().cost
        assert Campaign.from_json(later.to_json()) == later


def test_a_goal_for_a_structure_that_was_never_told_of_is_refused() -> None:
    with pytest.raises(InputError, match="'livr', which was not told of: there is all"):
        Campaign(goals={"livr": Goal()}).tell(pilots(FIRST)).recommend()


def test_each_structure_has_its_own_goal_and_the_slowest_decides() -> None:
    both = pd.concat([pilots(FIRST).assign(structure="kidney"), pilots(FIRST, k=0.2).assign(structure="cyst")])
    campaign = Campaign(n_max=440, goals={"kidney": Goal("target", 0.84), "cyst": Goal("target", 0.5)}).tell(both)
    decision, each = campaign.recommend_each()
    assert decision.code == "annotate"
    assert "kidney" in decision.curve
    assert {one.curve.split(" / ")[1]: one.code for one in each} == {"kidney": "annotate", "cyst": "stop_plateau"}
