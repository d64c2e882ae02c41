"""The ready protocols are accepted by `init` on a dataset of their kind."""

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicecast.adapters.nnunet.dataset import read_dataset
from dicecast.adapters.settings import read_settings
from dicecast.adapters.study import open_study

PROTOCOLS = Path(__file__).resolve().parents[1] / "studies" / "protocols"
RENAL = {"background": 0, "kidney": 1, "tumor": 2, "cyst": 3}
PHANTOM = {"background": 0, "kidney": 1, "tumour": 2, "cyst": 3}
RGB = {"channels": 3, "ending": ".png", "shape": (32, 32)}
DATASETS: dict[str, dict[str, Any]] = {
    "p1_plateau": {"labels": RENAL},
    "p2_kits21": {"labels": RENAL},
    "p3_grid": {"labels": {"background": 0, "polyp": 1}, **RGB},
    "p4_synthetic": {"labels": {"background": 0, "pancreas": 1, "tumour": 2}},
    "p5_renal_masses": {"labels": {"background": 0, "kidney": 1, "solid mass": 2, "cystic mass": 3}},
    "reduced/p1_phantom": {"labels": PHANTOM},
    "reduced/p1_hippocampus": {"labels": {"background": 0, "anterior": 1, "posterior": 2}},
    "reduced/p2_phantom": {"labels": PHANTOM},
    "reduced/p3_images": {"labels": {"background": 0, "blob": 1}, **RGB},
    "reduced/p4_phantom": {"labels": PHANTOM},
    "reduced/p5_phantom": {"labels": PHANTOM},
}


def test_every_protocol_is_tried() -> None:
    found = {str(path.relative_to(PROTOCOLS).with_suffix("")) for path in PROTOCOLS.rglob("*.toml")}
    assert found == set(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_init_accepts_the_protocol(
    name: str, tmp_path: Path, make_dataset: Callable[..., Path], cli: Callable[..., Any], nnunet: None
) -> None:
    kind = {"shape": (6, 16, 16), **DATASETS[name]}
    dataset = make_dataset(tmp_path / "Dataset900_Own", cases=16, **kind)
    protocol = PROTOCOLS / f"{name}.toml"
    options = ("--dataset", dataset, "--settings", protocol, "--sizes", "4,8", "--test", 4)
    result = cli("init", tmp_path / "mine", *options)
    assert result.exit_code == 0, result.stderr
    study = open_study(tmp_path / "mine")
    asked = read_settings(protocol)
    assert study.settings.study.name == "mine" and study.dataset == dataset
    assert study.settings.pilots.sizes == [4, 8] and len(study.test) == 4
    # everything else is the protocol's
    assert study.settings.arms == asked.arms and study.settings.scores == asked.scores
    assert dataclasses.replace(study.settings.pilots, sizes=[]) == dataclasses.replace(asked.pilots, sizes=[])
    assert "seconds of one" in result.output and "+/-" in result.output


def test_sizes_of_the_protocol_must_fit_the_pool(
    tmp_path: Path,
    make_dataset: Callable[..., Path],
    cli: Callable[..., Any],
    refused: Callable[..., None],
    nnunet: None,
) -> None:
    dataset = make_dataset(tmp_path / "data", cases=16, labels=RENAL, shape=(6, 16, 16))
    result = cli(
        "init", tmp_path / "mine", "--dataset", dataset, "--settings", PROTOCOLS / "p1_plateau.toml", "--test", 4
    )
    refused(result, 2, "pool of 12", "300", "--sizes")
    assert not (tmp_path / "mine").exists()


def test_a_structure_the_dataset_lacks_is_named(
    tmp_path: Path,
    make_dataset: Callable[..., Path],
    cli: Callable[..., Any],
    refused: Callable[..., None],
    nnunet: None,
) -> None:
    dataset = make_dataset(tmp_path / "data", cases=16, labels=PHANTOM, shape=(6, 16, 16))
    options = ("--dataset", dataset, "--settings", PROTOCOLS / "p2_kits21.toml", "--sizes", "4,8", "--test", 4)
    refused(cli("init", tmp_path / "mine", *options), 2, "[scores]", "'tumor'", "tumour")
    assert not (tmp_path / "mine").exists()


def test_comments_and_other_keys_stay(
    tmp_path: Path, make_dataset: Callable[..., Path], cli: Callable[..., Any]
) -> None:
    dataset = make_dataset(tmp_path / "data", cases=16, labels=RENAL, shape=(6, 16, 16))
    protocol = PROTOCOLS / "p5_renal_masses.toml"
    cli("init", tmp_path / "mine", "--dataset", dataset, "--settings", protocol, "--sizes", "4,8", "--test", 4)
    before, after = protocol.read_text(), (tmp_path / "mine" / "study.toml").read_text()
    changed = [line for line in before.splitlines() if line not in after.splitlines()]
    assert [line.split(" =")[0] for line in changed] == ["name", "dataset", "cases", "sizes"]
    assert tomllib.loads(after)["pilots"]["ensemble"] == "logits"
    assert read_dataset(dataset).structures.keys() == {"kidney", "tumor", "cyst"}
