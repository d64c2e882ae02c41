"""The plans of a pilot: nnU-Net's, with the patch, batch, depth, width and convolutions that its arm asks for."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ...forecast.errors import InputError
from ..sections import TrainingSettings

SMALLEST_EDGE = 4
"""Least edge of the feature maps of the last stage, as nnU-Net plans them."""
WIDEST = {2: 512, 3: 320}
"""Widest stage of nnU-Net's plans by dimension."""
PER_STAGE = ("n_conv_per_stage", "n_blocks_per_stage", "n_conv_per_stage_decoder")


def pilot_plans(plans: Mapping[str, Any], configuration: str, training: TrainingSettings, arm: str) -> dict[str, Any]:
    """The plans a pilot trains with.

    Raises:
        InputError: A setting that the network of the plans does not allow.
    """
    found: dict[str, Any] = copy.deepcopy(dict(plans))
    entry = copy.deepcopy(_whole_entry(found["configurations"], configuration))
    found["configurations"][configuration] = entry
    if training.batch is not None:
        entry["batch_size"] = training.batch
    if training.patch is not None:
        _replan_patch(entry, training.patch, arm)
    network = entry["architecture"]["arch_kwargs"]
    if network["n_stages"] < 2:
        raise InputError(
            f"arm {arm!r}: patch must be large enough to be pooled once, found {list(entry['patch_size'])}. Give edges "
            f"of at least {2 * SMALLEST_EDGE}, or a finer spacing."
        )
    if training.depth is not None:
        _cut(network, training.depth, arm)
    if training.features is not None:
        scale = training.features / network["features_per_stage"][0]
        network["features_per_stage"] = [max(1, round(width * scale)) for width in network["features_per_stage"]]
    if training.convolutions is not None:
        if "n_conv_per_stage" not in network:
            raise InputError(f"arm {arm!r}: convolutions does not apply to the network of its plans. Remove it.")
        for name in ("n_conv_per_stage", "n_conv_per_stage_decoder"):
            network[name] = [training.convolutions] * len(network[name])
    return found


def _whole_entry(configurations: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration with everything it inherits."""
    own = dict(configurations[name])
    parent = own.pop("inherits_from", None)
    return own if parent is None else {**_whole_entry(configurations, parent), **own}


def _replan_patch(entry: dict[str, Any], patch: Sequence[int], arm: str) -> None:
    """Strides, kernels and stages for another patch, by the rule nnU-Net plans them."""
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

    planned = entry["patch_size"]
    if len(patch) != len(planned):
        raise InputError(f"arm {arm!r}: patch must have {len(planned)} edges like the plan's {planned}, found {patch}.")
    _, strides, kernels, fitting, _ = get_pool_and_conv_props(entry["spacing"], patch, SMALLEST_EDGE, 999999)
    if list(map(int, fitting)) != list(patch):
        raise InputError(
            f"arm {arm!r}: patch must be divisible by the strides of the network, found {list(patch)}. "
            f"The next that fits is {[int(edge) for edge in fitting]}."
        )
    network, stages = entry["architecture"]["arch_kwargs"], len(strides)
    first = network["features_per_stage"][0]
    network.update(
        n_stages=stages,
        strides=[list(map(int, stride)) for stride in strides],
        kernel_sizes=[list(map(int, kernel)) for kernel in kernels],
        features_per_stage=[min(WIDEST[len(patch)], first * 2**stage) for stage in range(stages)],
    )
    for name in PER_STAGE:
        if name in network:
            wanted = stages - name.endswith("decoder")
            network[name] = [*network[name], *network[name][-1:] * wanted][:wanted]
    entry["patch_size"] = list(patch)


def _cut(network: dict[str, Any], depth: int, arm: str) -> None:
    """Leave out the deepest stages."""
    stages = network["n_stages"]
    if depth > stages:
        raise InputError(
            f"arm {arm!r}: depth must be at most the {stages} stages that its patch allows, found {depth}. "
            "Lower it, or give a larger patch."
        )
    network["n_stages"] = depth
    for name in ("features_per_stage", "strides", "kernel_sizes", *PER_STAGE):
        if name in network:
            network[name] = network[name][: depth - name.endswith("decoder")]
