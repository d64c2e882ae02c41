from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicecast.adapters.new_study import NewStudy, study_toml
from dicecast.adapters.nnunet.dataset import NnunetDataset
from dicecast.adapters.settings import Settings, parse_settings, read_settings, toml_value
from dicecast.forecast.errors import InputError
from dicecast.forecast.goal import Goal


def raw(**sections: Any) -> dict[str, Any]:
    return {
        "study": {"name": "s", "dataset": "/data"},
        "test": {"cases": 2},
        "pilots": {"sizes": [2, 4]},
        "arm": [{"name": "2d", "configuration": "2d"}],
        **sections,
    }


def pilots(**keys: Any) -> dict[str, Any]:
    return raw(pilots={"sizes": [2, 4], **keys})


def study(**keys: Any) -> dict[str, Any]:
    return raw(study={"name": "s", "dataset": "/data", **keys})


def arm(**keys: Any) -> dict[str, Any]:
    return raw(arm=[{"name": "2d", "configuration": "2d", **keys}])


def test_what_init_writes_reads_back_equal(new_study: Callable[..., Path], tmp_path: Path) -> None:
    folder = new_study(
        *("--test", "case_001,case_004", "--sizes", "4,2,3", "--draws", "3,2,1", "--configuration", "2d,3d_fullres"),
        *("--seed", 7, "--epochs", 2, "--iterations", 3, "--batch", 4, "--features", 8),
        *("--optimiser", "AdamW", "--learning-rate", "1e-05", "--no-schedule-check"),
    )
    found = read_settings(folder / "study.toml")
    expected = parse_settings(
        {
            "study": {"format": 2, "name": "study", "dataset": str(tmp_path / "dataset"), "seed": 7},
            "test": {"cases": ["case_001", "case_004"]},
            "pilots": {
                "sizes": [2, 3, 4],
                "draws": [3, 2, 1],
                "epochs": 2,
                "iterations": 3,
                "batch": 4,
                "features": 8,
                "optimiser": "AdamW",
                "learning_rate": 1e-5,
                "schedule_check": False,
            },
            "arm": [{"name": name, "configuration": name} for name in ("2d", "3d_fullres")],
        },
        "expected",
    )
    assert found == expected


def test_init_without_options_writes_nnunets_own_training(new_study: Callable[..., Path]) -> None:
    settings = read_settings(new_study() / "study.toml")
    training = settings.arms[0].training(settings.pilots)
    assert (training.epochs, training.iterations, training.optimiser) == (1000, 250, "SGD")
    assert training.batch is training.features is training.learning_rate is None


def test_commented_settings_of_init_are_valid_once_uncommented(new_study: Callable[..., Path]) -> None:
    text = (new_study() / "study.toml").read_text(encoding="utf-8")
    keys: tuple[str, ...] = ("batch", "features", "convolutions", "optimiser", "learning_rate")
    keys += ("per_case", "per_round", "unit", "budget", "deadline_rounds", "jobs")
    lines = [
        line.removeprefix("# ") if line.startswith(tuple(f"# {k} =" for k in keys)) else line
        for line in text.splitlines()
    ]
    settings = parse_settings(tomllib.loads("\n".join(lines)), "study.toml")
    assert settings.cost.budget == 1000
    assert settings.pilots.batch == 12


@pytest.mark.parametrize(
    ("draws", "expected"), [(2, [2, 2, 2, 2]), ([3, 2, 1], [3, 2, 1, 1]), ([5], [5, 5, 5, 5]), ([1, 4], [1, 4, 4, 4])]
)
def test_a_list_of_draws_gives_one_per_size_and_its_last_to_all_later(
    draws: int | list[int], expected: list[int]
) -> None:
    found = parse_settings(raw(pilots={"sizes": [2, 4, 8], "draws": draws}), "here").pilots
    assert [found.draws_at(n) for n in (2, 4, 8, 16)] == expected


def test_an_arm_overrides_the_pilots_and_leaves_the_rest() -> None:
    found = parse_settings(
        raw(
            pilots={"sizes": [2], "epochs": 10, "batch": 4},
            arm=[{"name": "a", "configuration": "2d", "epochs": 20}, {"name": "b", "configuration": "2d"}],
        ),
        "here",
    )
    a, b = (one.training(found.pilots) for one in found.arms)
    assert (a.epochs, a.batch, b.epochs, b.batch) == (20, 4, 10, 4)


def test_every_structure_has_the_goal_it_was_given_or_the_plateau() -> None:
    table = {**raw(), **study(goal={"small": 0.8, "cyst": "ignore", "large": "value"})}
    table["cost"] = {"per_point": 40.0, "per_case": 2.0}
    found = parse_settings(table, "here")
    assert found.goal("small") == Goal("target", 0.8)
    assert found.goal("cyst") is None
    assert found.goal("large") == Goal("value", 40.0)
    assert found.goal("other") == Goal("plateau", found.study.eps)


def test_an_arm_is_found_by_name_and_an_unknown_one_refused_naming_it() -> None:
    settings: Settings = parse_settings(raw(), "here")
    assert settings.arm("2d").configuration == "2d"
    with pytest.raises(InputError, match="3d"):
        settings.arm("3d")


FAULTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("newer format", study(format=99), ["newer dicecast", "format 99", "Update"]),
    ("format is text", study(format="1"), ["[study]", "format", "whole number", "'1'"]),
    ("format zero", study(format=0), ["[study]", "format", ">= 1"]),
    ("unknown table", raw(pilot={}), ["unknown table 'pilot'", "pilots"]),
    ("unknown key", pilots(epoch=3), ["[pilots]", "unknown key 'epoch'", "epochs"]),
    ("unknown study key", study(sede=1), ["[study]", "unknown key 'sede'", "seed"]),
    ("unknown arm key", arm(lr=0.1), ["[[arm]]", "unknown key 'lr'", "learning_rate"]),
    ("no study", {**raw(), "study": {}}, ["[study]", "'name'", "missing"]),
    ("no dataset", raw(study={"name": "s"}), ["[study]", "'dataset'", "missing"]),
    ("no test", {**raw(), "test": {}}, ["[test]", "'cases'", "missing"]),
    ("study is a number", raw(study=5), ["[study]", "table", "5"]),
    ("pilots is a list", raw(pilots=[1]), ["[pilots]", "table"]),
    ("no arm", raw(arm=[]), ["at least one [[arm]]"]),
    ("arm is a table", raw(arm={"name": "a", "configuration": "2d"}), ["[[arm]]"]),
    ("arm is a number", raw(arm=[3]), ["[[arm]]", "table", "3"]),
    ("arm without configuration", raw(arm=[{"name": "a"}]), ["[[arm]]", "'configuration'", "missing"]),
    ("same arm twice", raw(arm=[{"name": "a", "configuration": "2d"}] * 2), ["own name", "a, a"]),
    ("arm name is a path", arm(name="../x"), ["[[arm]]", "name", "folder name"]),
    ("arm name is the parent", arm(name=".."), ["[[arm]]", "name", "folder name"]),
    ("arm name is empty", arm(name=""), ["[[arm]]", "name", "folder name"]),
    ("patch of four edges", arm(patch=[8, 8, 8, 8]), ["[[arm]] 2d", "patch", "2 or 3 edges", "[8, 8, 8, 8]"]),
    ("spacing of two axes", arm(spacing=[1.0, 1.0]), ["[[arm]]", "spacing", "three numbers > 0"]),
    ("unknown normalisation", arm(normalisation="z"), ["[[arm]]", "normalisation", "z-score"]),
    ("window without normalisation", arm(window=[0, 1]), ["[[arm]]", "window", 'goes with normalisation = "window"']),
    ("window missing", arm(normalisation="window"), ["[[arm]]", "window is needed"]),
    ("clip past 100 %", arm(normalisation="clip", clip=[0, 101]), ["[[arm]]", "clip", "[0, 100]"]),
    ("foreground above 1", arm(foreground=1.5), ["[[arm]] 2d", "foreground", "[0, 1]", "1.5"]),
    ("momentum of AdamW", arm(momentum=0.9, optimiser="AdamW"), ["[[arm]] 2d", "momentum", "SGD only"]),
    ("crop of another key", arm(crop={"organ": "a"}), ["[[arm]], crop", "unknown key 'organ'"]),
    ("crop by no arm", arm(crop={"structure": "a", "test": "b"}), ["[[arm]] 2d", "crop.test", "'b'", "none"]),
    ("extra cases of no source", arm(extra_cases={"ratio": 3}), ["extra_cases", "one of folder, command"]),
    ("extra cases of two sources", arm(extra_cases={"ratio": 3, "folder": "a", "command": "b"}), ["one of folder"]),
    ("lesions of no organ", arm(extra_cases={"ratio": 3, "lesions": "a"}), ["organ and lesion", "go with lesions"]),
    ("extra ratio of 0", arm(extra_cases={"ratio": 0, "folder": "a"}), ["ratio", "> 0"]),
    ("finished without splits", arm(finished={"folder": "a", "n": 3}), ["[[arm]], finished", "'splits' is missing"]),
    ("name blank", study(name=" "), ["[study]", "name"]),
    ("seed is text", study(seed="1"), ["[study]", "seed", "whole number", "'1'"]),
    ("seed is true", study(seed=True), ["[study]", "seed", "whole number"]),
    ("seed negative", study(seed=-1), ["[study]", "seed", ">= 0", "-1"]),
    ("level 1", study(level=1), ["[study]", "level", "between 0 and 1"]),
    ("level nan", study(level=float("nan")), ["[study]", "level", "between 0 and 1"]),
    ("eps 0", study(eps=0.0), ["[study]", "eps", "between 0 and 1"]),
    ("goal", study(goal="target"), ["[study]", "goal", "plateau"]),
    ("goal out of range", study(goal={"small": 1.5}), ["[study]", "goal", "target score in (0, 1]", "1.5"]),
    ("goal is true", study(goal={"small": True}), ["[study]", "goal", "True"]),
    ("goal is nothing", study(goal={"small": "ignore"}), ["[study]", "goal", "ignore"]),
    ("goal value without a price", study(goal="value"), ["[cost]", "per_point"]),
    ("goal value without cost", {**study(goal="value"), "cost": {"per_point": 3}}, ["[cost]", "per_case > 0"]),
    ("budget but a free arm", {**arm(per_case=0), "cost": {"per_case": 3, "budget": 9}}, ["[cost]", "every arm"]),
    ("per_point 0", raw(cost={"per_point": 0}), ["[cost]", "per_point", "> 0"]),
    ("per_gpu_hour negative", raw(cost={"per_gpu_hour": -1}), ["[cost]", "per_gpu_hour", ">= 0"]),
    ("arm per_case negative", arm(per_case=-2.0), ["[[arm]]", "per_case", ">= 0"]),
    ("stability of one round", raw(stability={"rounds": 1}), ["[stability]", "at least 2 rounds", "1"]),
    ("stability of nothing", raw(stability={"gain_move": 0}), ["[stability]", "gain_move", "> 0"]),
    ("stratified by nothing", raw(next={"select": "stratified"}), ["[next]", "by"]),
    ("random by site", raw(next={"by": ["site"]}), ["[next]", "by", "stratified"]),
    ("unknown rule", raw(next={"select": "active"}), ["[next]", "select", "random, stratified"]),
    ("test is true", raw(test={"cases": True}), ["[test]", "cases", "True"]),
    ("test ids are numbers", raw(test={"cases": [1]}), ["[test]", "cases", "[1]"]),
    ("group_by", raw(test={"cases": 2, "group_by": "site"}), ["[test]", "group_by", "patient"]),
    ("size zero", pilots(sizes=[0, 2]), ["[pilots]", "sizes", ">= 1"]),
    ("size twice", pilots(sizes=[2, 2]), ["[pilots]", "sizes", "differ"]),
    ("size is a fraction", pilots(sizes=[2.5]), ["[pilots]", "sizes", "list of", "2.5"]),
    ("draws zero", pilots(draws=0), ["[pilots]", "draws", ">= 1"]),
    ("draws empty", pilots(draws=[]), ["[pilots]", "draws"]),
    ("draws hold zero", pilots(draws=[3, 0]), ["[pilots]", "draws", ">= 1"]),
    ("folds 6", pilots(folds=6), ["[pilots]", "folds", "1 to 5", "6"]),
    ("ensemble", pilots(ensemble="mean"), ["[pilots]", "ensemble", "vote", "mean"]),
    ("epochs 0", pilots(epochs=0), ["[pilots]", "epochs", ">= 1"]),
    ("iterations is a number", pilots(iterations=2.5), ["[pilots]", "iterations", "whole number"]),
    ("batch 1", pilots(batch=1), ["[pilots]", "batch", ">= 2"]),
    ("features 0", pilots(features=0), ["[pilots]", "features", ">= 1"]),
    ("optimiser", pilots(optimiser="Adam"), ["[pilots]", "optimiser", "SGD, AdamW", "Adam"]),
    ("optimiser of an arm", arm(optimiser="Adam"), ["[[arm]] 2d", "optimiser", "SGD, AdamW", "Adam"]),
    ("learning rate 0", pilots(learning_rate=0), ["[pilots]", "learning_rate", "> 0"]),
    ("learning rate infinite", pilots(learning_rate=float("inf")), ["[pilots]", "learning_rate"]),
    ("mirroring is 1", pilots(mirroring=1), ["[pilots]", "mirroring", "true or false"]),
    ("structures is text", raw(scores={"structures": "kidney"}), ["[scores]", "structures", "list of text"]),
    ("engine", raw(execution={"engine": "pbs"}), ["[execution]", "engine", "local", "slurm", "pbs"]),
    ("gpus twice", raw(execution={"gpus": [0, 0]}), ["[execution]", "gpus", "twice"]),
    ("no run on a GPU", raw(execution={"runs_per_gpu": 0}), ["[execution]", "runs_per_gpu", ">= 1"]),
    ("time limit", raw(execution={"slurm": {"time": "1 day"}}), ["[execution], slurm", "time", "1 day"]),
    ("our option", raw(execution={"slurm": {"options": {"array": "0-9"}}}), ["options", "array", "dicecast"]),
    ("tasks", raw(execution={"slurm": {"options": {"ntasks": 2}}}), ["options", "ntasks", "dicecast"]),
    ("jobs 0", raw(execution={"jobs": 0}), ["[execution]", "jobs", ">= 1"]),
    ("device", raw(execution={"device": "gpu"}), ["[execution]", "device", "cuda", "gpu"]),
    ("unit is a number", raw(cost={"unit": 3}), ["[cost]", "unit", "text"]),
    ("cost of a case negative", raw(cost={"per_case": -1.0}), ["[cost]", "per_case", ">= 0"]),
    ("cost of a round negative", raw(cost={"per_round": -1.0}), ["[cost]", "per_round", ">= 0"]),
    ("cost of a case is nan", raw(cost={"per_case": float("nan")}), ["[cost]", "per_case"]),
    ("budget negative", raw(cost={"per_case": 1.0, "budget": -5.0}), ["[cost]", "budget", ">= 0"]),
    ("budget without a cost per case", raw(cost={"budget": 100.0}), ["[cost]", "budget", "per_case"]),
    ("cost beyond all money", raw(cost={"per_case": 1e308}), ["[cost]", "per_case", "at most 1e+15"]),
    ("draws without end", raw(pilots={"draws": 10**20}), ["[pilots]", "draws", "at most 999"]),
    ("deadline negative", raw(cost={"deadline_rounds": -1}), ["[cost]", "deadline_rounds", ">= 0"]),
]


@pytest.mark.parametrize(("sections", "words"), [pytest.param(s, w, id=name) for name, s, w in FAULTS])
def test_a_wrong_setting_is_refused_naming_table_key_and_rule(sections: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_settings(sections, "some/study.toml")
    assert str(caught.value).startswith("some/study.toml")
    assert not [word for word in words if word not in str(caught.value)], str(caught.value)


@pytest.mark.parametrize("text", ["[study\n", "a = \n", "x = 1\nx = 2\ny = 3\n"])
def test_broken_toml_is_refused_naming_file_and_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"study\.toml: must be valid TOML.*line"):
        read_settings(tmp_path / "study.toml")


@pytest.mark.parametrize("text", ["x = " + "9" * 5000, "x = " + "[" * 5000])
def test_toml_that_cannot_be_taken_in_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"study\.toml: must be valid TOML"):
        read_settings(tmp_path / "study.toml")


@pytest.mark.parametrize("path", ["a" * 300, "a\0b", "~no-such-user/x", "/".join(["abc"] * 2000)])
def test_a_path_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="dataset must be a path that there can be"):
        parse_settings(raw(study={"name": "a", "dataset": path}), "study.toml")


def test_settings_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes(b"\x80\x81\xff")
    with pytest.raises(InputError, match=r"study\.toml: must be UTF-8 text.*0x80"):
        read_settings(tmp_path / "study.toml")


@pytest.mark.parametrize(
    "value", [1, 0.25, 1e-5, True, "plain", 'qu"ote', "back\\slash", "Größe", ["a", "b"], [1, 2], []]
)
def test_a_value_written_as_toml_reads_back_equal(value: Any) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


def test_the_documented_study_is_what_init_writes() -> None:
    asked = NewStudy(Path("kidney"), Path("Dataset100_Kidney"), test=50)
    written = study_toml(asked, "kidney", NnunetDataset(Path("Dataset100_Kidney"), {}, {}), (25, 50, 100, 200))
    documented = Path(__file__).parents[2] / "docs" / "study.toml"
    assert documented.read_text(encoding="utf-8") == written
