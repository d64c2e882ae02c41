"""Pictures of the test cases of a study: which files are read, what is said, what happens when something is gone."""

from __future__ import annotations

import importlib.util
import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from dicecast.adapters.cases.pictures import CasePicture, case_pictures, write_case_pictures
from dicecast.adapters.examples.phantom import LABELS, write_phantom
from dicecast.adapters.metrics import case_scores
from dicecast.adapters.nnunet.checks import reader_of
from dicecast.adapters.nnunet.dataset import Label, NnunetDataset, read_dataset
from dicecast.adapters.study import Study, open_study
from dicecast.forecast.errors import InputError

pytest.importorskip("nibabel")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nibabel

Array = npt.NDArray[Any]
Predict = Callable[[int, Array], Array]
"""Makes a prediction of the number of a test case and its reference."""


@dataclass
class Made:
    """A study with one run, as `run` leaves it, whose predictions were made by hand."""

    study: Study
    dataset: NnunetDataset
    run: Path

    def pictures(self, structure: str = "organ", **more: Any) -> list[CasePicture]:
        return case_pictures(self.study, arm="2d", structure=structure, **more)

    def prediction(self, case: str, test_set: str = "test") -> Path:
        return self.run / "predictions" / test_set / f"{case}{self.dataset.declared['file_ending']}"


def shifted(number: int, label: Array) -> Array:
    """A prediction that is worse for every further test case."""
    return np.roll(label, number, axis=-1)


@pytest.fixture
def make(
    tmp_path: Path,
    make_dataset: Callable[..., Path],
    new_study: Callable[..., Path],
    keep_run: Callable[..., Path],
) -> Callable[..., Made]:
    """make(predict, test=5, n=4, structures={...}, metrics=(...), **dataset): a study whose run predicted that."""

    def build(
        predict: Predict = shifted,
        *,
        test: int = 5,
        structures: Mapping[str, Label] | None = None,
        metrics: tuple[str, ...] = ("dice",),
        ignore: int | None = None,
        edit: Callable[[str], str] | None = None,
        **declared: Any,
    ) -> Made:
        folder = tmp_path / "dataset"
        if not folder.exists():
            make_dataset(folder, **{"cases": 8, "shape": (8, 24, 24), **declared})
        path = new_study("--test", test, "--configuration", "2d", "--no-schedule-check")
        if edit is not None:
            (path / "study.toml").write_text(edit((path / "study.toml").read_text()))
        study, dataset = open_study(path), read_dataset(folder)
        run = study.folder / "runs" / "2d" / "n3" / "draw0"
        structures = structures or dataset.structures
        rows = predict_all(dataset, {"test": study.test}, run, predict, structures, metrics, ignore)
        keep_run(path, rows, n=3)
        scored = json.loads((run / "scoring.json").read_text())
        scored |= {"structures": {k: list(v) if isinstance(v, tuple) else v for k, v in structures.items()}}
        (run / "scoring.json").write_text(json.dumps({**scored, "ignore": ignore}))
        return Made(study, dataset, run)

    return build


def predict_all(
    dataset: NnunetDataset,
    test_sets: Mapping[str, list[str]],
    run: Path,
    predict: Predict,
    structures: Mapping[str, Label],
    metrics: tuple[str, ...],
    ignore: int | None = None,
) -> pd.DataFrame:
    """Write predictions of test cases, and give their scores."""
    reader, rows = reader_of(dataset.declared), []
    for test_set, cases in test_sets.items():
        (run / "predictions" / test_set).mkdir(parents=True)
        for number, case in enumerate(cases):
            label, about = reader.read_seg(str(dataset.cases[case].label))
            predicted = predict(number, label[0]).astype(np.uint8)
            ending = dataset.declared["file_ending"]
            reader.write_seg(predicted, str(run / "predictions" / test_set / f"{case}{ending}"), about)
            counted = np.ones(label[0].shape, bool) if ignore is None else label[0] != ignore
            for name, values in structures.items():
                masks = np.isin(label[0], values), np.isin(predicted, values)
                found = case_scores(*masks, wanted=metrics, spacing=None, tolerance=1, counted=counted)
                key = {"arm": "2d", "n_cases": 3, "draw": 0, "test_set": test_set, "case": case, "structure": name}
                rows += [{**key, "metric": metric, "score": score} for metric, score in found.items()]
    return pd.DataFrame(rows)


def test_the_best_the_middle_and_the_worst_case_are_drawn(make: Callable[..., Made]) -> None:
    made = make()
    pictures = made.pictures()
    test = made.study.test
    assert [(one.kind, one.case) for one in pictures][:3] == [
        ("best", test[0]),
        ("median", test[2]),
        ("worst", test[4]),
    ]
    for one in pictures:
        assert (one.arm, one.structure, one.metric, one.test_set, one.n, one.draw) == (
            "2d",
            "organ",
            "dice",
            "test",
            3,
            0,
        )
        assert one.png.startswith(b"\x89PNG") and one.size[0] > one.size[1] > 100
        assert f"{one.case}. Dice {one.score:.3f}, mean over the test set 0." in one.caption
        assert one.case in one.alt and "organ" in one.alt
    assert "Best of 5 test cases" in pictures[0].caption and "where the reference is largest" in pictures[0].caption
    assert "nearly coincides with the solid orange reference and is about as large" in pictures[0].alt
    assert "Worst of 5 test cases" in pictures[2].caption and "where most is wrong" in pictures[2].caption
    assert "Reference 0.0640 mL, prediction 0.0640 mL." in pictures[0].caption  # 4 x 4 x 4 voxels of 1 mm
    assert re.search(r"Axial at S \d\.0 mm, coronal at P \d+\.0 mm and sagittal at L \d+\.0 mm", pictures[0].caption)
    assert "HU" not in pictures[0].caption


def test_the_same_study_gives_the_same_pictures_and_stays_as_it_is(
    make: Callable[..., Made], unchanged: Callable[..., Any]
) -> None:
    made = make()
    with unchanged(made.study.folder):
        assert made.pictures() == made.pictures()


def test_texts_are_plain(make: Callable[..., Made]) -> None:
    made = make(labels={"background": 0, "a<b>&$x_1$": 1})
    for one in made.pictures("a<b>&$x_1$"):
        assert "a<b>&$x_1$" in one.alt
        assert not re.search("&(amp|lt|gt);", one.caption + one.alt)


def test_a_prediction_in_other_slices_is_said_to_be_there(make: Callable[..., Made]) -> None:
    def far(number: int, label: Array) -> Array:
        found = np.zeros_like(label)
        found[0, 0, 0] = 1
        return found

    worst = make(far, test=2).pictures()[-1]
    assert worst.score == 0 and "No prediction lies in these slices." in worst.caption
    assert worst.alt.endswith("; the prediction lies in other slices.")


def test_cases_with_missed_lesions_are_shown(make: Callable[..., Made]) -> None:
    """Two lesions each; the second case misses the small one, the last one everything."""

    def predict(number: int, label: Array) -> Array:
        found = label.copy()
        if number == 1:
            found[:, :, 14:] = 0
        return found * 0 if number == 4 else found

    def twice(label: Array) -> Array:
        found = np.zeros_like(label)
        found[2:6, 8:14, 4:10] = 1
        found[3:5, 9:11, 16:18] = 1
        return found

    made = make(lambda number, label: predict(number, label), metrics=("dice",), cases=8)
    for case in made.dataset.cases.values():
        reader = reader_of(made.dataset.declared)
        label, about = reader.read_seg(str(case.label))
        reader.write_seg(twice(label[0]).astype(np.uint8), str(case.label), about)
    rebuilt = rescored(made, predict, ("dice", "lesion_sensitivity"))
    pictures = {one.kind: one for one in rebuilt.pictures()}
    test = made.study.test
    assert pictures["worst"].case == test[4] and pictures["missed"].case == test[1]
    worst, missed = pictures["worst"], pictures["missed"]
    assert "The reference is missed entirely. A lesion or the structure is missed in 2 of the 5 cases." in worst.caption
    assert worst.alt.endswith("a solid orange line around the reference, and no prediction.")
    assert "Missed lesion or structure, as in 2 of 5 test cases" in missed.caption
    assert "Of the 2 separate parts of the reference 1 is missed (0.00800 mL)." in missed.caption
    assert "sagittal at L 17.0 mm, through the largest missed part" in missed.caption


def rescored(made: Made, predict: Predict, metrics: tuple[str, ...]) -> Made:
    """The study with its predictions and scores made anew."""
    for path in sorted((made.run / "predictions").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (made.run / "predictions").rmdir()
    rows = predict_all(made.dataset, {"test": made.study.test}, made.run, predict, made.dataset.structures, metrics)
    rows.to_csv(made.run / "scores.csv", index=False)
    return made


def test_a_single_test_case_has_one_picture(make: Callable[..., Made]) -> None:
    (one,) = make(test=1).pictures()
    assert one.kind == "median" and "The only one of the test cases with this structure" in one.caption
    assert "mean" not in one.caption


def test_regions_are_structures(make: Callable[..., Made]) -> None:
    labels = {"background": 0, "whole": [1, 2], "core": [2]}
    made = make(labels=labels, regions_class_order=[1, 2])
    for name in ("whole", "core"):
        assert [one.kind for one in made.pictures(name)][:3] == ["best", "median", "worst"]


def test_what_was_not_annotated_is_not_outlined(make: Callable[..., Made]) -> None:
    """A prediction inside the ignored part would change the Dice, which is compared with the score."""
    made = make(
        lambda number, label: np.where(label == 2, 1, label),
        labels={"background": 0, "organ": 1, "ignore": 2},
        structures={"organ": 1},
        ignore=2,
    )
    assert {one.score for one in made.pictures()} == {1.0}


def test_phantom_pictures_are_small_and_windowed(make: Callable[..., Made], tmp_path: Path) -> None:
    write_phantom(tmp_path / "dataset", 6)
    made = make(test=3)
    for name in ("kidney", "tumour"):
        pictures = made.pictures(name)
        assert len(pictures) >= 3 and all(len(one.png) < 60_000 for one in pictures)
        assert all(re.search(r"Grey values -160 to \d+ HU\.$", one.caption) for one in pictures)
    assert set(LABELS) - {"background"} == set(made.dataset.structures)


@pytest.mark.parametrize(("channels", "shape"), [(1, (24, 30)), (2, (24, 30))])
def test_natural_images_are_drawn_flat(make: Callable[..., Made], channels: int, shape: tuple[int, ...]) -> None:
    made = make(ending=".png", shape=shape, channels=channels)
    for one in made.pictures():
        assert "The image does not say how the patient lay; it is drawn as stored." in one.caption
        assert re.search(r"Reference \d+ pixels, prediction \d+ pixels\.", one.caption)
        assert one.alt.startswith("The image in grey")
        assert "mL" not in one.caption and " mm" not in one.caption


def test_colour_images_keep_their_colours(
    make: Callable[..., Made], make_dataset: Callable[..., Path], write_image: Callable[..., None], tmp_path: Path
) -> None:
    folder = make_dataset(tmp_path / "dataset", cases=8, ending=".png", shape=(24, 30), channels=3)
    for path in (folder / "imagesTr").iterdir():
        path.unlink()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 30, (24, 30, 3), np.uint8)
        pixels[..., 0] += 200
        write_image(folder / "imagesTr" / f"case_{number:03d}_0000.png", pixels)
    one = make().pictures()[0]
    pixels = np.asarray(Image.open(BytesIO(one.png)).convert("RGB")).reshape(-1, 3).astype(int)
    assert np.mean((pixels[:, 0] > 150) & (pixels[:, 1] < 60)) > 0.3
    assert one.alt.startswith("The image in colour")


def test_several_channels_show_the_first(make: Callable[..., Made]) -> None:
    made = make(channels=2)
    before = made.pictures()
    for case in made.dataset.cases.values():
        case.images[1].write_bytes(b"not an image")
    assert made.pictures() == before


def test_an_image_without_orientation_says_so(make: Callable[..., Made]) -> None:
    made = make()
    for case in made.dataset.cases.values():
        image = nibabel.load(case.images[0])
        plain = nibabel.Nifti1Image(np.asanyarray(image.dataobj), image.affine)
        plain.set_qform(image.affine, code=0)
        plain.set_sform(image.affine, code=0)
        nibabel.save(plain, case.images[0])
    caption = made.pictures()[0].caption
    assert "does not say how the patient lay; slices are drawn as stored" in caption
    assert re.search(r"\d of 8 along the first axis, \d+ of 24 along the second axis and \d+ of 24", caption)
    assert "mL" in caption


def test_a_case_that_cannot_be_read_is_left_out_and_told(make: Callable[..., Made]) -> None:
    made = make()
    test, notes = made.study.test, list[str]()
    made.prediction(test[0]).unlink()
    made.prediction(test[2]).write_bytes(b"nothing")
    made.dataset.cases[test[4]].images[0].write_bytes(b"nothing")
    pictures = made.pictures(notice=notes.append)
    assert not {one.case for one in pictures} & {test[0], test[2], test[4]}
    for note, case, kind, why in zip(
        notes[:3],
        (test[0], test[2], test[4]),
        ("best", "median", "worst"),
        ("the prediction is not there", "cannot be read as an image", "cannot be read as an image"),
        strict=True,
    ):
        assert f"no picture of case {case} ({kind}, organ, arm 2d)" in note and why in note and case in note
    with pytest.raises(InputError, match="the prediction is not there"):
        made.pictures()


def test_masks_that_were_not_scored_are_not_shown(make: Callable[..., Made]) -> None:
    made = make()
    best, worst = made.study.test[0], made.study.test[4]
    made.prediction(best).write_bytes(made.prediction(worst).read_bytes())
    with pytest.raises(InputError, match=r"must give the Dice on record, 1\.000, found .* changed after scoring"):
        made.pictures()


def test_a_prediction_of_another_shape_is_refused(make: Callable[..., Made], write_image: Callable[..., None]) -> None:
    made = make()
    write_image(made.prediction(made.study.test[0]), np.zeros((4, 5, 6), np.uint8))
    with pytest.raises(InputError, match=r"must have the shape of the image, \(8, 24, 24\), found \(4, 5, 6\)"):
        made.pictures()


def test_deleted_predictions_are_told_once(make: Callable[..., Made]) -> None:
    made = make()
    for case in made.study.test:
        made.prediction(case).unlink()
    notes: list[str] = []
    with pytest.raises(InputError, match="the predictions were deleted, so no case can be drawn"):
        made.pictures(notice=notes.append)
    assert notes == []


def test_what_does_not_exist_is_named(make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    with pytest.raises(InputError, match="arm must be one of 2d, found '3d'"):
        case_pictures(made.study, arm="3d", structure="organ")
    with pytest.raises(InputError, match="structure must be one of organ, found 'bone'"):
        made.pictures("bone")
    with pytest.raises(InputError, match="no case of test set north has a score"):
        made.pictures(test_set="north")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="need nnU-Net v2 to read the images"):
        made.pictures()
    (made.run / "run.json").unlink()
    with pytest.raises(InputError, match="no pilot run of arm 2d is complete"):
        made.pictures()


def test_the_first_draw_of_the_largest_size_is_shown(make: Callable[..., Made], keep_run: Callable[..., Path]) -> None:
    made = make()
    scores = pd.read_csv(made.run / "scores.csv")
    for n, draw in ((2, 0), (3, 1)):
        keep_run(made.study.folder, scores.assign(n_cases=n, draw=draw), n=n, draw=draw)
    assert {(one.n, one.draw) for one in made.pictures()} == {(3, 0)}
    for path in made.run.iterdir():
        path.unlink() if path.is_file() else None
    with pytest.raises(InputError, match=r"draw1/predictions/test: the predictions were deleted"):
        made.pictures()


def test_extra_test_sets_have_their_own_pictures(
    make: Callable[..., Made], make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    north = read_dataset(make_dataset(tmp_path / "north", cases=4, shape=(8, 24, 24), seed=7))

    def edit(text: str) -> str:
        return f'{text}\n[[test.extra]]\nname = "north"\ndataset = "{tmp_path / "north"}"\n'

    made = make(edit=edit)
    rows = predict_all(north, {"north": list(north.cases)}, made.run, shifted, {"organ": 1}, ("dice",))
    pd.concat([pd.read_csv(made.run / "scores.csv"), rows]).to_csv(made.run / "scores.csv", index=False)
    pictures = made.pictures(test_set="north")
    assert {one.test_set for one in pictures} == {"north"}
    assert "Best of 4 cases of test set north: case_000." in pictures[0].caption


def test_pictures_are_written_with_their_captions(make: Callable[..., Made], tmp_path: Path) -> None:
    pictures = make().pictures()
    written = write_case_pictures([*pictures, pictures[0]], tmp_path / "new")
    assert len(written) == len(set(written)) == 2 * len(pictures) + 2
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in written)
    assert written[0].name == f"2d-organ-best-{pictures[0].case}.png"
    assert written[0].read_bytes() == pictures[0].png
    assert written[1].read_text() == f"{pictures[0].caption}\n"


def test_progress_is_told(make: Callable[..., Made]) -> None:
    told: list[tuple[str, int, int]] = []
    pictures = make().pictures(step=lambda *what: told.append(what))
    assert told == [("pictures of organ, arm 2d", number, len(pictures)) for number in range(len(pictures))]
