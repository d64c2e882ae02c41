"""The plans of a pilot: what its arm changes in nnU-Net's own, and that nnU-Net can build and run the network."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicecast.adapters.files import write_json
from dicecast.adapters.nnunet.dataset import read_dataset
from dicecast.adapters.nnunet.network import PER_STAGE, SMALLEST_EDGE, pilot_plans
from dicecast.adapters.nnunet.planning import make_plans
from dicecast.adapters.nnunet.preparation import Preparation, read_plans
from dicecast.adapters.sections import TrainingSettings
from dicecast.forecast.errors import InputError

PLAIN, RESENC = "nnUNetPlans", "nnUNetResEncUNetMPlans"
SHAPE, SPACING = (20, 48, 64), (2.5, 1.0, 1.0)
FINGERPRINT = {
    "spacings": [SPACING] * 2,
    "shapes_after_crop": [SHAPE] * 2,
    "foreground_intensity_properties_per_channel": {
        "0": {
            **{"max": 187.0, "mean": 150.0, "median": 150.0, "min": 122.0, "std": 10.0},
            **{"percentile_00_5": 122.0, "percentile_99_5": 187.0},
        }
    },
    "median_relative_size_after_cropping": 1.0,
}
"""What nnU-Net would note of two such images; with it on record, planning opens no image but the first."""


@pytest.fixture(scope="module")
def plans(
    tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path], nnunet: None
) -> dict[str, dict[str, Any]]:
    """Plans by their name, as nnU-Net's planners make them."""
    folder = tmp_path_factory.mktemp("planned")
    dataset = read_dataset(make_dataset(folder / "dataset", cases=2))
    found = {}
    for name in (PLAIN, RESENC):
        preparation = Preparation(plans=name)
        write_json(preparation.plans_path(folder).parent / "dataset_fingerprint.json", FINGERPRINT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make_plans(folder, dataset.declared, dataset.cases, preparation)
        found[name] = read_plans(folder, preparation)
    return found


def pilot(plans: dict[str, Any], configuration: str, **asked: Any) -> dict[str, Any]:
    """The configuration that a pilot trains with."""
    found: dict[str, Any] = pilot_plans(plans, configuration, TrainingSettings(**asked), "mine")
    return dict(found["configurations"][configuration])


def network_of(entry: dict[str, Any]) -> dict[str, Any]:
    return dict(entry["architecture"]["arch_kwargs"])


def output_shape(plans: dict[str, Any], configuration: str) -> tuple[int, ...]:
    """Build the network as nnU-Net does and give it one empty patch; three labels."""
    torch = pytest.importorskip("torch")
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    asked = PlansManager(plans).get_configuration(configuration)
    arguments = (asked.network_arch_class_name, asked.network_arch_init_kwargs)
    needed = asked.network_arch_init_kwargs_req_import
    network = get_network_from_plans(*arguments, needed, 1, 3, allow_init=True, deep_supervision=False)
    with torch.no_grad():
        return tuple(network(torch.zeros((1, 1, *asked.patch_size))).shape)


def is_consistent(entry: dict[str, Any]) -> bool:
    """Whether every list has one entry per stage and the strides divide the patch down to edges nnU-Net allows."""
    network = network_of(entry)
    stages = network["n_stages"]
    lists = ("features_per_stage", "strides", "kernel_sizes", *(name for name in PER_STAGE if name in network))
    whole = all(len(network[name]) == stages - name.endswith("decoder") for name in lists)
    reduced = np.array(entry["patch_size"]) / np.prod(network["strides"], axis=0)
    pooled = np.prod(network["strides"], axis=0) > 1
    return bool(whole and np.all(reduced == np.round(reduced)) and np.all(reduced[pooled] >= SMALLEST_EDGE))


# what is left alone


@pytest.mark.parametrize("name", [PLAIN, RESENC])
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_a_pilot_that_asks_for_nothing_trains_with_the_plans(
    plans: dict[str, dict[str, Any]], name: str, configuration: str
) -> None:
    assert pilot_plans(plans[name], configuration, TrainingSettings(), "mine") == plans[name]


def test_the_plans_and_other_configurations_stay_as_they_are(plans: dict[str, dict[str, Any]]) -> None:
    given, before = plans[PLAIN], copy.deepcopy(plans[PLAIN])
    asked = TrainingSettings(batch=3, features=4, convolutions=1, depth=2, patch=[16, 16])
    found = pilot_plans(given, "2d", asked, "mine")
    assert given == before
    assert found["configurations"]["3d_fullres"] == before["configurations"]["3d_fullres"]
    assert {**found, "configurations": 0} == {**before, "configurations": 0}
    assert json.loads(json.dumps(found)) == found  # plain numbers and lists, as checkpoints keep them


def test_everything_but_what_was_asked_for_stays(plans: dict[str, dict[str, Any]]) -> None:
    planned = plans[PLAIN]["configurations"]["2d"]
    assert pilot(plans[PLAIN], "2d", batch=7) == {**planned, "batch_size": 7}
    wide = pilot(plans[PLAIN], "2d", features=8)
    kept = {**wide, "architecture": planned["architecture"]}
    assert kept == planned
    assert {**network_of(wide), "features_per_stage": 0} == {**network_of(planned), "features_per_stage": 0}


# width, convolutions, depth


@pytest.mark.parametrize("name", [PLAIN, RESENC])
@pytest.mark.parametrize("features", [1, 3, 8, 48])
def test_every_stage_keeps_its_ratio_to_the_first(plans: dict[str, dict[str, Any]], name: str, features: int) -> None:
    for configuration in ("2d", "3d_fullres"):
        planned = network_of(plans[name]["configurations"][configuration])["features_per_stage"]
        found = network_of(pilot(plans[name], configuration, features=features))["features_per_stage"]
        assert found[0] == features
        assert found == [width * features // planned[0] for width in planned]


def test_no_stage_is_without_features(plans: dict[str, dict[str, Any]]) -> None:
    given = copy.deepcopy(plans[PLAIN])
    given["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [64, 8, 4, 2]
    assert network_of(pilot(given, "2d", features=4))["features_per_stage"] == [4, 1, 1, 1]


def test_convolutions_hold_for_every_stage_of_both_sides(plans: dict[str, dict[str, Any]]) -> None:
    found = network_of(pilot(plans[PLAIN], "3d_fullres", convolutions=1))
    stages = found["n_stages"]
    assert found["n_conv_per_stage"] == [1] * stages
    assert found["n_conv_per_stage_decoder"] == [1] * (stages - 1)


def test_convolutions_of_a_network_of_residual_blocks_are_refused(plans: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="arm 'mine': convolutions does not apply"):
        pilot(plans[RESENC], "2d", convolutions=1)


@pytest.mark.parametrize("name", [PLAIN, RESENC])
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_a_shallower_network_is_the_first_stages_of_the_planned(
    plans: dict[str, dict[str, Any]], name: str, configuration: str
) -> None:
    planned = network_of(plans[name]["configurations"][configuration])
    for depth in range(2, planned["n_stages"] + 1):
        entry = pilot(plans[name], configuration, depth=depth)
        found = network_of(entry)
        assert found["n_stages"] == depth
        assert found["features_per_stage"] == planned["features_per_stage"][:depth]
        assert found["strides"] == planned["strides"][:depth]
        assert is_consistent(entry)
    assert found == planned


def test_a_depth_beyond_the_patch_is_refused_naming_the_most(plans: dict[str, dict[str, Any]]) -> None:
    stages = network_of(plans[PLAIN]["configurations"]["2d"])["n_stages"]
    with pytest.raises(InputError, match=f"arm 'mine': depth must be at most the {stages} stages .* found 9"):
        pilot(plans[PLAIN], "2d", depth=9)


def test_depth_and_width_speak_of_the_network_for_the_patch(plans: dict[str, dict[str, Any]]) -> None:
    assert network_of(pilot(plans[PLAIN], "2d", patch=[16, 16]))["n_stages"] == 3
    with pytest.raises(InputError, match="at most the 3 stages"):
        pilot(plans[PLAIN], "2d", patch=[16, 16], depth=4)
    found = network_of(pilot(plans[PLAIN], "2d", patch=[64, 64], depth=5, features=2))
    assert found["features_per_stage"] == [2, 4, 8, 16, 32]


# patches


@pytest.mark.parametrize("name", [PLAIN, RESENC])
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_the_planned_patch_gives_the_planned_network(
    plans: dict[str, dict[str, Any]], name: str, configuration: str
) -> None:
    planned = plans[name]["configurations"][configuration]
    assert pilot(plans[name], configuration, patch=planned["patch_size"]) == planned


def test_widths_stop_at_those_nnunet_stops_at(plans: dict[str, dict[str, Any]]) -> None:
    flat = network_of(pilot(plans[PLAIN], "2d", patch=[256, 256]))
    assert flat["features_per_stage"] == [32, 64, 128, 256, 512, 512, 512]
    solid = network_of(pilot(plans[RESENC], "3d_fullres", patch=[64, 128, 128]))
    assert solid["features_per_stage"] == [32, 64, 128, 256, 320, 320]
    assert solid["n_blocks_per_stage"] == [1, 3, 4, 6, 6, 6]
    assert solid["n_conv_per_stage_decoder"] == [1] * 5


@pytest.mark.parametrize(
    ("configuration", "patch", "fits"),
    [("2d", [50, 64], [56, 64]), ("2d", [33, 33], [40, 40]), ("3d_fullres", [20, 48, 63], [20, 48, 64])],
)
def test_a_patch_that_the_strides_do_not_divide_is_refused_naming_the_next_that_fits(
    plans: dict[str, dict[str, Any]], configuration: str, patch: list[int], fits: list[int]
) -> None:
    with pytest.raises(InputError) as caught:
        pilot(plans[PLAIN], configuration, patch=patch)
    told = str(caught.value)
    assert "arm 'mine': patch must be divisible by the strides" in told
    assert str(patch) in told and f"next that fits is {fits}." in told
    assert pilot(plans[PLAIN], configuration, patch=fits)["patch_size"] == fits


@pytest.mark.parametrize(("configuration", "patch"), [("2d", [8, 32, 32]), ("3d_fullres", [32, 32])])
def test_a_patch_of_another_dimension_is_refused(
    plans: dict[str, dict[str, Any]], configuration: str, patch: list[int]
) -> None:
    edges = len(plans[PLAIN]["configurations"][configuration]["patch_size"])
    with pytest.raises(InputError, match=f"arm 'mine': patch must have {edges} edges") as caught:
        pilot(plans[PLAIN], configuration, patch=patch)
    assert str(patch) in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from([PLAIN, RESENC]), configuration=st.sampled_from(["2d", "3d_fullres"]))
def test_every_patch_fits_or_is_refused_with_one_that_does(
    plans: dict[str, dict[str, Any]], data: st.DataObject, name: str, configuration: str
) -> None:
    edges = 2 if configuration == "2d" else 3
    patch = data.draw(st.lists(st.integers(8, 160), min_size=edges, max_size=edges))
    try:
        entry = pilot(plans[name], configuration, patch=patch)
    except InputError as error:
        fits = json.loads(str(error).rpartition("fits is ")[2].rstrip("."))
        assert fits != patch and all(a >= b for a, b in zip(fits, patch, strict=True))
        entry, patch = pilot(plans[name], configuration, patch=fits), fits
    assert entry["patch_size"] == patch
    assert is_consistent(entry)


@pytest.mark.parametrize(("configuration", "patch"), [("2d", [4, 4]), ("2d", [7, 7]), ("3d_fullres", [4, 7, 7])])
def test_a_patch_too_small_to_be_pooled_once_is_refused(
    plans: dict[str, dict[str, Any]], configuration: str, patch: list[int]
) -> None:
    with pytest.raises(InputError, match="patch"):
        pilot(plans[PLAIN], configuration, patch=patch)


def test_a_planned_network_of_one_stage_is_refused_too(plans: dict[str, dict[str, Any]]) -> None:
    # as nnU-Net plans small images that a coarse spacing makes smaller still
    given = copy.deepcopy(plans[PLAIN])
    given["configurations"]["2d"]["patch_size"] = [7, 7]
    network = given["configurations"]["2d"]["architecture"]["arch_kwargs"]
    network["n_stages"] = 1
    for name in ("features_per_stage", "strides", "kernel_sizes", *PER_STAGE):
        if name in network:
            network[name] = network[name][: 1 - name.endswith("decoder")]
    with pytest.raises(InputError, match=r"stage|pooled"):
        pilot(given, "2d")


# inheritance


def heirs(plans: dict[str, Any]) -> dict[str, Any]:
    """Plans with configurations that inherit, one of them from an heir."""
    configurations = {
        **plans["configurations"],
        "small": {"inherits_from": "2d", "batch_size": 5},
        "smaller": {"inherits_from": "small", "patch_size": [32, 32]},
    }
    return {**plans, "configurations": configurations}


@pytest.mark.usefixtures("nnunet")
def test_a_configuration_that_inherits_is_what_nnunet_makes_of_it(plans: dict[str, dict[str, Any]]) -> None:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    given = heirs(plans[PLAIN])
    for name in ("small", "smaller"):
        entry = pilot(given, name)
        assert "inherits_from" not in entry
        resolved = PlansManager(given).get_configuration(name).configuration
        assert entry == {key: value for key, value in resolved.items() if key != "inherits_from"}
    assert pilot(given, "smaller")["batch_size"] == 5


def test_what_an_heir_changes_does_not_reach_what_it_inherits_from(plans: dict[str, dict[str, Any]]) -> None:
    given = heirs(plans[PLAIN])
    found = pilot_plans(given, "smaller", TrainingSettings(features=4, depth=2), "mine")["configurations"]
    assert network_of(found["smaller"])["features_per_stage"] == [4, 8]
    assert found["2d"] == plans[PLAIN]["configurations"]["2d"]
    assert found["small"] == given["configurations"]["small"]


# the networks run


@pytest.mark.parametrize(
    ("name", "configuration", "asked"),
    [
        (PLAIN, "2d", {"depth": 2, "convolutions": 1}),
        (PLAIN, "2d", {"patch": [64, 16]}),
        (PLAIN, "2d", {"patch": [128, 128], "depth": 4}),
        (PLAIN, "3d_fullres", {"patch": [8, 32, 16]}),
        (PLAIN, "3d_fullres", {"depth": 3, "convolutions": 1}),
        (RESENC, "2d", {"depth": 3}),
        (RESENC, "2d", {"patch": [128, 64]}),
        (RESENC, "3d_fullres", {"patch": [16, 32, 32], "depth": 3}),
    ],
)
def test_nnunet_builds_the_network_and_it_maps_a_patch_onto_itself(
    plans: dict[str, dict[str, Any]], name: str, configuration: str, asked: dict[str, Any]
) -> None:
    found = pilot_plans(plans[name], configuration, TrainingSettings(**asked, features=2), "mine")
    patch = found["configurations"][configuration]["patch_size"]
    assert output_shape(found, configuration) == (1, 3, *patch)


def test_a_configuration_that_inherits_can_be_built(plans: dict[str, dict[str, Any]]) -> None:
    found = pilot_plans(heirs(plans[PLAIN]), "smaller", TrainingSettings(features=2), "mine")
    assert output_shape(found, "smaller") == (1, 3, 32, 32)
