from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

pytest.importorskip("SimpleITK")
import SimpleITK

from dicecast.adapters.examples.lesions import SIZES, LesionLook, NoRoomError, diameter_mm, synthesise
from dicecast.adapters.examples.phantom import LABELS, phantom_case, write_phantom
from dicecast.adapters.examples.synthetic import COLUMNS, SyntheticSet, write_synthetic
from dicecast.adapters.nnunet.dataset import CaseFiles, NnunetDataset, read_dataset
from dicecast.adapters.tables import read_csv
from dicecast.forecast.errors import InputError

Array = npt.NDArray[Any]

ORGAN, LESION, CYST = 1, 2, 3
PLAIN = LesionLook(share_necrotic=0, texture=(0, 0))


def scan(spacing: tuple[float, ...] = (2.0, 1.0, 1.0), extent: float = 80, seed: int = 0) -> tuple[Array, Array]:
    """A ball of 25 mm radius, bright on dark, with a cyst on its surface; extent in mm."""
    axes = [(np.arange(round(extent / step)) + 0.5) * step - extent / 2 for step in spacing]
    place = np.stack(np.meshgrid(*axes, indexing="ij"))
    beside = np.array([0.0, 0.0, 22.0][-len(spacing) :]).reshape(-1, *[1] * len(spacing))
    label = np.where((place**2).sum(0) < 25**2, ORGAN, 0).astype(np.uint8)
    label[((place - beside) ** 2).sum(0) < 8**2] = CYST
    image = np.random.default_rng(seed).normal(100.0 * (label == ORGAN), 10).astype(np.float32)
    return image, label


def put(
    size: str = "medium", seed: int = 0, spacing: tuple[float, ...] = (2.0, 1.0, 1.0), **more: Any
) -> tuple[Array, Array, Array, Array]:
    image, label = scan(spacing)
    made = synthesise(image, label, spacing, (ORGAN,), LESION, size, np.random.default_rng(seed), **more)
    return image, label, *made


def touches(lesion: Array, organ: Array) -> bool:
    return bool(np.any(ndimage.binary_dilation(lesion) & organ))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (4.0, 1.8, 1.8), (1.0, 3.0, 2.0), (1.0, 0.7)])
@pytest.mark.parametrize("seed", range(3))
def test_a_lesion_has_its_size_touches_the_organ_and_leaves_the_rest_alone(
    size: str, spacing: tuple[float, ...], seed: int
) -> None:
    image, label, new_image, new_label = put(size, seed, spacing)
    lesion = new_label == LESION
    assert SIZES[size][0] <= diameter_mm(lesion, spacing) <= SIZES[size][1]
    assert touches(lesion, new_label == ORGAN)
    assert ndimage.label(lesion)[1] == 1
    assert np.mean(label[lesion] == ORGAN) >= LesionLook().within
    assert np.array_equal(new_label[~lesion], label[~lesion])
    assert not np.any(label[lesion] == CYST)
    assert np.array_equal(new_image[label == CYST], image[label == CYST])
    reach = [2 * round(3 * LesionLook().edge_mm / step) + 1 for step in spacing]
    away = ~ndimage.maximum_filter(lesion, size=reach)
    assert np.array_equal(new_image[away], image[away])
    assert np.mean(new_image[lesion] != image[lesion]) > 0.99
    assert new_image.dtype == image.dtype and new_label.dtype == label.dtype


def test_the_arrays_given_are_not_changed() -> None:
    image, label, _, _ = put()
    again = scan()
    assert np.array_equal(image, again[0]) and np.array_equal(label, again[1])


def test_the_same_generator_makes_the_same_lesion_and_another_another() -> None:
    first, same, other = put(seed=4), put(seed=4), put(seed=5)
    assert np.array_equal(first[2], same[2]) and np.array_equal(first[3], same[3])
    assert not np.array_equal(first[3], other[3])


def test_one_slice_is_treated_as_the_plane_it_is() -> None:
    image, label = scan((1.0, 1.0))
    rng = [np.random.default_rng(1) for _ in range(2)]
    flat = synthesise(image, label, (1.0, 1.0), (ORGAN,), LESION, "medium", rng[0])
    slab = synthesise(image[None], label[None], (999.0, 1.0, 1.0), (ORGAN,), LESION, "medium", rng[1])
    assert np.array_equal(slab[0][0], flat[0]) and np.array_equal(slab[1][0], flat[1])
    assert 16 <= diameter_mm(slab[1] == LESION, (999.0, 1.0, 1.0)) <= 24


def test_the_diameter_of_a_ball_is_its_diameter() -> None:
    spacing = (1.0, 0.5, 0.5)
    axes = [np.arange(-15, 15 + step, step) for step in spacing]
    place = np.stack(np.meshgrid(*axes, indexing="ij"))
    assert diameter_mm((place**2).sum(0) < 10**2, spacing) == pytest.approx(20, rel=0.01)


def test_channels_share_the_shape_and_have_their_own_intensities() -> None:
    image, label = scan()
    channels = np.stack([image, 5 * image]).astype(float)
    rng = np.random.default_rng(3)
    made, new_label = synthesise(channels, label, (2, 1, 1), (ORGAN,), LESION, "large", rng, look=PLAIN)
    lesion = new_label == LESION
    assert made.shape == channels.shape
    assert np.array_equal(made[0] != channels[0], made[1] != channels[1])
    assert abs(np.median(made[1][lesion]) - 5 * np.median(made[0][lesion])) > 20


@pytest.mark.parametrize(("scale", "shift"), [(1.0, -1000.0), (0.002, 0.0), (7.0, 40.0)])
def test_brightness_follows_the_organ_so_the_unit_of_the_image_is_irrelevant(scale: float, shift: float) -> None:
    image, label = scan()
    made = [
        synthesise(pixels, label, (2, 1, 1), (ORGAN,), LESION, "large", np.random.default_rng(2))[0]
        for pixels in (image.astype(float), scale * image.astype(float) + shift)
    ]
    assert np.allclose(made[1], scale * made[0] + shift, rtol=0, atol=1e-9 * scale + 1e-12 * abs(shift))


@pytest.mark.parametrize(
    ("look", "least", "most"),
    [
        pytest.param({"share_brighter": 1, "brighter": (3, 6)}, 3, 6, id="brighter"),
        pytest.param({"share_brighter": 0, "darker": (2, 4)}, -4, -2, id="darker"),
    ],
)
def test_contrast_is_counted_in_spreads_of_the_organ(look: dict[str, Any], least: float, most: float) -> None:
    for seed in range(4):
        _, _, image, new_label = put("large", seed, look=LesionLook(share_necrotic=0, texture=(0, 0), **look))
        inner = ndimage.binary_erosion(new_label == LESION, iterations=3)
        spreads = (np.median(image[inner]) - 100) / 10  # the organ is normal with mean 100, deviation 10
        assert least - 0.5 < spreads < most + 0.5
        assert np.std(image[inner]) == pytest.approx(10, rel=0.3)


def test_a_necrotic_core_is_darker_than_organ_and_rim() -> None:
    look = LesionLook(share_brighter=1, share_necrotic=1, texture=(0, 0), core=(3, 5), core_size=(0.5, 0.6))
    _, _, image, label = put("large", 1, look=look)
    depth = ndimage.distance_transform_edt(label == LESION, sampling=(2, 1, 1))
    assert np.median(image[depth > 0.8 * depth.max()]) < 75
    assert np.median(image[(depth > 0) & (depth < 3)]) > 110


def test_the_edge_is_soft_and_no_edge_is_hard() -> None:
    hard, soft = (put("large", 1, look=LesionLook(share_necrotic=0, edge_mm=edge)) for edge in (0.0, 2.0))
    assert np.array_equal(hard[2] != hard[0], hard[3] == LESION)
    rim = ndimage.binary_dilation(soft[3] == LESION) & (soft[3] == ORGAN)
    inner = ndimage.binary_erosion(soft[3] == LESION, iterations=4)
    assert np.median(soft[0][rim]) + 5 < np.median(soft[2][rim]) < np.median(soft[2][inner]) - 5


def test_whole_numbers_stay_whole_and_in_range() -> None:
    image, label = scan()
    small = np.clip(2.3 * image, 0, 255).astype(np.uint8)
    look = LesionLook(share_brighter=1, brighter=(10, 11), share_necrotic=0, texture=(0, 0))
    made, new_label = synthesise(
        small, label, (2, 1, 1), (ORGAN,), LESION, "large", np.random.default_rng(0), look=look
    )
    assert made.dtype == np.uint8
    assert np.median(made[new_label == LESION]) == 255


def small_organ() -> tuple[Array, Array]:
    image, label = scan()
    label[:] = 0
    label[18:22, 38:42, 38:42] = ORGAN
    return image, label


def test_a_lesion_never_swallows_the_organ() -> None:
    image, label = small_organ()
    look = LesionLook(within=0)
    with pytest.raises(NoRoomError, match="found no place"):
        synthesise(image, label, (2, 1, 1), (ORGAN,), LESION, "large", np.random.default_rng(0), look=look)


def test_a_lesion_stays_out_of_what_surrounds_the_organ() -> None:
    image, label = scan()
    label[label == 0] = CYST
    rng = np.random.default_rng(0)
    _, made = synthesise(image, label, (2, 1, 1), (ORGAN,), LESION, "medium", rng)
    assert np.array_equal(made == CYST, label == CYST)
    small, walled = small_organ()
    walled[walled == 0] = CYST
    with pytest.raises(NoRoomError, match="found no place"):
        synthesise(small, walled, (2, 1, 1), (ORGAN,), LESION, "small", rng)


def test_a_lesion_that_is_there_is_not_overwritten() -> None:
    _, _, once, lesion = put(seed=3)
    first = lesion == LESION
    for seed in range(6):
        rng = np.random.default_rng(seed)
        image, both = synthesise(once, lesion, (2, 1, 1), (ORGAN, LESION), LESION, "large", rng)
        assert np.array_equal(image[first], once[first])
        assert 24 <= diameter_mm((both == LESION) & ~first, (2, 1, 1)) <= 32


@pytest.mark.parametrize("seed", range(6))
def test_a_class_as_narrow_as_one_voxel_is_met(seed: int) -> None:
    spacing = (4.0, 2.0, 2.0)
    lo, hi = (float((6 * voxels * 16 / np.pi) ** (1 / 3)) for voxels in (40.05, 41.1))
    _, _, _, label = put("narrow", seed, spacing, sizes={"narrow": (lo, hi)})
    assert np.sum(label == LESION) == 41


@pytest.mark.parametrize("seed", range(6))
def test_a_rugged_lesion_is_in_one_piece_and_mostly_in_the_organ_if_asked(seed: int) -> None:
    look = LesionLook(lumps=0.5, within=0.8, near_surface=1)
    _, before, _, label = put("small", seed, look=look)
    assert ndimage.label(label == LESION)[1] == 1
    assert np.mean(before[label == LESION] == ORGAN) >= 0.8


def test_only_the_proportions_of_the_axes_count() -> None:
    once, thrice = (put("large", 1, look=LesionLook(axes=(length, length)))[3] for length in (1.0, 3.0))
    assert np.array_equal(once, thrice)


def test_without_organ_or_with_coarse_voxels_there_is_no_room() -> None:
    image, label = scan()
    rng = np.random.default_rng(0)
    with pytest.raises(NoRoomError, match="found no voxel"):
        synthesise(image, label, (2, 1, 1), (7,), LESION, "small", rng)
    with pytest.raises(NoRoomError, match="finer voxels"):
        synthesise(image, label, (40, 20, 20), (ORGAN,), LESION, "small", rng)


@pytest.mark.parametrize(
    ("shape", "spacing", "size"),
    [((40, 80, 79), (2, 1, 1), "small"), ((40, 80, 80), (2, 1), "small"), ((40, 80, 80), (2, 1, 1), "huge")],
)
def test_what_does_not_match_is_refused(shape: tuple[int, ...], spacing: tuple[float, ...], size: str) -> None:
    with pytest.raises(ValueError, match="found"):
        synthesise(np.zeros(shape), scan()[1], spacing, (ORGAN,), LESION, size, np.random.default_rng(0))


@pytest.mark.parametrize(
    "look",
    [{"core": (5, 1)}, {"darker": (-3, -1)}, {"share_brighter": 1.5}, {"axes": (0, 1)}, {"edge_mm": float("nan")}],
)
def test_an_impossible_look_is_refused(look: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"look must|shares of"):
        LesionLook(**look)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> NnunetDataset:
    return read_dataset(write_phantom(tmp_path_factory.mktemp("phantom") / "healthy", 3, healthy=True))


def make(dataset: NnunetDataset, folder: Path, count: int, seed: int = 0, start: int = 0, **more: Any) -> SyntheticSet:
    names: dict[str, Any] = {"organ": "kidney", "lesion": "tumour", "sources": dataset.cases, "declared": None, **more}
    sources, declared = names.pop("sources"), names.pop("declared") or dataset.declared
    return write_synthetic(sources, declared, folder, count, seed, start, **names)


@pytest.fixture(scope="module")
def written(healthy: NnunetDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SyntheticSet]:
    folder = tmp_path_factory.mktemp("set") / "synthetic"
    return folder, make(healthy, folder, 14)


def voxels(path: Path) -> Array:
    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_set_is_a_dataset_with_the_same_labels(healthy: NnunetDataset, written: tuple[Path, SyntheticSet]) -> None:
    found = read_dataset(written[0])
    assert len(found.cases) == found.declared["numTraining"] == 14
    assert {**found.declared, "numTraining": 3} == {**healthy.declared}


def test_sizes_are_exact_in_every_block_and_sources_take_turns(written: tuple[Path, SyntheticSet]) -> None:
    cases = written[1].cases
    for block in (cases[:7], cases[7:]):
        assert Counter(case.size for case in block) == {"small": 4, "medium": 2, "large": 1}
    assert [case.size for case in cases[:7]] != [case.size for case in cases[7:]]
    assert set(Counter(case.source for case in cases).values()) == {4, 5}
    assert len({case.diameter_mm for case in cases}) == 14
    assert not written[1].skipped


def test_the_table_tells_what_the_files_hold(written: tuple[Path, SyntheticSet], healthy: NnunetDataset) -> None:
    folder, made = written
    table = read_csv(folder / "cases.csv")
    assert tuple(table.columns) == COLUMNS
    assert [tuple(row) for row in table.to_numpy()] == [
        (case.case, case.source, case.size, str(case.diameter_mm)) for case in made.cases
    ]
    for case in made.cases:
        volume = SimpleITK.ReadImage(str(folder / "labelsTr" / f"{case.case}.nii.gz"))
        label, before = SimpleITK.GetArrayFromImage(volume), voxels(healthy.cases[case.source].label)
        lesion = label == LABELS["tumour"]
        assert diameter_mm(lesion, volume.GetSpacing()[::-1]) == pytest.approx(case.diameter_mm, abs=0.01)
        assert SIZES[case.size][0] <= case.diameter_mm <= SIZES[case.size][1]
        assert np.array_equal(label[~lesion], before[~lesion])


def test_a_set_grows_as_if_made_at_once(
    written: tuple[Path, SyntheticSet], healthy: NnunetDataset, tmp_path: Path
) -> None:
    make(healthy, tmp_path / "grown", 5, start=9)
    make(healthy, tmp_path / "grown", 10)
    assert contents(tmp_path / "grown") == contents(written[0])


def test_another_seed_makes_other_cases(
    written: tuple[Path, SyntheticSet], healthy: NnunetDataset, tmp_path: Path
) -> None:
    other = make(healthy, tmp_path / "other", 1, seed=1)
    assert other.cases[0].diameter_mm != written[1].cases[0].diameter_mm


def rewritten(
    files: CaseFiles, folder: Path, name: str, change: Callable[[Array], Array] = np.asarray, channels: int = 1
) -> CaseFiles:
    """A copy of a case in an odd place and position, its label changed."""
    made = []
    for path, array in (
        *(((folder / f"{name}_{channel:04d}.nii.gz"), voxels(files.images[0])) for channel in range(channels)),
        (folder / f"{name}.nii.gz", change(voxels(files.label))),
    ):
        volume = SimpleITK.GetImageFromArray(array)
        volume.SetSpacing((1.8, 1.8, 4.0))
        volume.SetOrigin((12.5, -40.0, 7.25))
        volume.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
        SimpleITK.WriteImage(volume, str(path))
        made.append(path)
    return CaseFiles(tuple(made[:-1]), made[-1])


def test_geometry_and_channels_are_kept(healthy: NnunetDataset, tmp_path: Path) -> None:
    source = rewritten(healthy.cases["healthy_000"], tmp_path, "odd", channels=2)
    declared = {**healthy.declared, "channel_names": {"0": "T1", "1": "T2"}}
    make(healthy, tmp_path / "set", 1, sources={"odd": source}, declared=declared)
    made = read_dataset(tmp_path / "set").cases["synthetic_0000"]
    assert len(made.images) == 2
    for path, before in zip((*made.images, made.label), (*source.images, source.label), strict=True):
        volumes = [SimpleITK.ReadImage(str(one)) for one in (path, before)]
        for get in ("GetSpacing", "GetOrigin", "GetDirection", "GetSize", "GetPixelID"):
            assert getattr(volumes[0], get)() == getattr(volumes[1], get)()


def test_sources_that_are_not_healthy_kidneys_are_left_out_and_named(healthy: NnunetDataset, tmp_path: Path) -> None:
    bare = rewritten(healthy.cases["healthy_000"], tmp_path, "bare", np.zeros_like)
    ill = read_dataset(write_phantom(tmp_path / "ill", 1)).cases["phantom_000"]
    sources = {"bare": bare, "ill": ill, "good": healthy.cases["healthy_001"]}
    made = make(healthy, tmp_path / "set", 2, sources=sources)
    assert made.skipped == {"bare": "without the organ", "ill": "with the lesion already"}
    assert {case.source for case in made.cases} == {"good"}
    with pytest.raises(InputError, match=r"found none among 2 \(1 without the organ, 1 with the lesion already\)"):
        make(healthy, tmp_path / "none", 1, sources={"bare": bare, "ill": ill})
    assert not (tmp_path / "none").exists()


def speck(label: Array) -> Array:
    """One voxel of organ: too little for any lesion."""
    made = np.zeros_like(label)
    made[tuple(np.argwhere(label == LABELS["kidney"])[0])] = LABELS["kidney"]
    return made


def test_a_source_without_room_hands_its_turn_to_the_next(healthy: NnunetDataset, tmp_path: Path) -> None:
    tiny = rewritten(healthy.cases["healthy_000"], tmp_path, "tiny", speck)
    made = make(healthy, tmp_path / "set", 2, sources={"tiny": tiny, "good": healthy.cases["healthy_001"]})
    assert [case.source for case in made.cases] == ["good", "good"]
    assert not made.skipped
    with pytest.raises(NoRoomError, match=r"synthetic_0000 must get a \w+ lesion on one of 1 .* found no place"):
        make(healthy, tmp_path / "none", 1, sources={"tiny": tiny})


def test_what_was_written_before_a_failure_is_a_dataset(healthy: NnunetDataset, tmp_path: Path) -> None:
    sizes = {"small": (10.0, 16.0), "impossible": (200.0, 210.0)}
    with pytest.raises(NoRoomError):
        make(healthy, tmp_path / "set", 8, sizes=sizes, ratio=(7, 1))
    rows = read_csv(tmp_path / "set" / "cases.csv")
    assert list(read_dataset(tmp_path / "set").cases) == list(rows["case"])
    assert set(rows["size"]) == {"small"}


def test_a_region_gives_the_tissue_that_no_smaller_structure_claims(healthy: NnunetDataset, tmp_path: Path) -> None:
    def with_cyst(label: Array) -> Array:
        halves = np.array(label)
        halves[:, : halves.shape[1] // 2][halves[:, : halves.shape[1] // 2] > 0] = LABELS["cyst"]
        return halves

    source = rewritten(healthy.cases["healthy_000"], tmp_path, "cyst", with_cyst)
    labels = {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumour": 2}
    declared = {**healthy.declared, "labels": labels, "regions_class_order": [1, 3, 2]}
    make(healthy, tmp_path / "set", 3, sources={"cyst": source}, declared=declared)
    for files in read_dataset(tmp_path / "set").cases.values():
        assert np.array_equal(voxels(files.label) == 3, voxels(source.label) == 3)


REFUSED: list[tuple[str, Mapping[str, Any], str]] = [
    ("organ", {"organ": "liver"}, "declared structures .*kidney.* found 'liver'"),
    ("lesion", {"lesion": "background"}, "found 'background'"),
    ("the same", {"organ": "tumour"}, "found none beside 'tumour'"),
    ("count", {"count": 0}, "count >= 1"),
    ("seed", {"seed": -1}, "seed >= 0"),
    ("start", {"start": -1}, "start >= 0"),
    ("ratio too short", {"ratio": (4, 2)}, "small, medium, large"),
    ("ratio of nothing", {"ratio": (0, 0, 0)}, "ratio"),
    ("size", {"sizes": {"a": (5.0, 3.0)}, "ratio": (1,)}, "size 'a'"),
    ("no sources", {"sources": {}}, "no sources"),
]


@pytest.mark.parametrize(("change", "words"), [pytest.param(c, w, id=name) for name, c, w in REFUSED])
def test_what_cannot_be_is_refused_before_anything_is_written(
    healthy: NnunetDataset, tmp_path: Path, change: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        make(healthy, tmp_path / "set", **{"count": 1, **change})
    assert not (tmp_path / "set").exists()


def test_faulty_sources_are_refused_by_name(healthy: NnunetDataset, tmp_path: Path) -> None:
    good = healthy.cases["healthy_000"]
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    odd = rewritten(good, tmp_path, "odd", lambda label: label + np.uint8(9))
    short = rewritten(good, tmp_path, "short", lambda label: label[:-1])
    for files, words in (
        (CaseFiles(good.images, broken), r"broken\.nii\.gz: cannot be read"),
        (CaseFiles((broken,), good.label), r"broken\.nii\.gz: cannot be read"),
        (CaseFiles((), good.label), "one image for each"),
        (odd, r"odd\.nii\.gz: label values must be declared"),
        (short, "same shape"),
    ):
        with pytest.raises(InputError, match=words):
            make(healthy, tmp_path / "set", 1, sources={"case": files})


def test_a_folder_with_something_else_is_left_alone(healthy: NnunetDataset, tmp_path: Path) -> None:
    before = contents(healthy.folder)
    with pytest.raises(InputError, match="must be new or hold a synthetic set, found healthy_00"):
        make(healthy, healthy.folder, 1)
    assert contents(healthy.folder) == before
    for name in ("dataset.json", "cases.csv"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("case,patient\n" if name == "cases.csv" else "{}", encoding="utf-8")
        with pytest.raises(InputError, match=f"found {name}"):
            make(healthy, folder, 1)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="found a file"):
        make(healthy, tmp_path / "file", 1)


def test_a_set_grows_only_with_the_same_declaration(healthy: NnunetDataset, tmp_path: Path) -> None:
    make(healthy, tmp_path / "set", 1)
    labels = {**LABELS, "stone": 4}
    with pytest.raises(InputError, match="only grow with the same labels"):
        make(healthy, tmp_path / "set", 1, start=1, declared={**healthy.declared, "labels": labels})


def test_files_listed_one_by_one_are_not_declared_again(healthy: NnunetDataset, tmp_path: Path) -> None:
    make(healthy, tmp_path / "set", 1, declared={**healthy.declared, "dataset": {"healthy_000": {}}})
    assert "dataset" not in json.loads((tmp_path / "set" / "dataset.json").read_text(encoding="utf-8"))


def test_a_healthy_phantom_is_a_kidney_of_another_patient(healthy: NnunetDataset) -> None:
    assert list(healthy.cases) == ["healthy_000", "healthy_001", "healthy_002"]
    assert healthy.declared["labels"] == LABELS
    for files in healthy.cases.values():
        assert set(np.unique(voxels(files.label))) == {0, LABELS["kidney"]}
    ill, well = phantom_case(0), phantom_case(0, healthy=True)
    assert ill[0].shape != well[0].shape or not np.array_equal(ill[0], well[0])


def test_phantoms_with_tumours_stay_what_they_were() -> None:
    image, label, _ = phantom_case(0)
    assert image.shape == (20, 40, 40)
    assert np.bincount(label.ravel(), minlength=4) == pytest.approx([29150, 2125, 725, 0], abs=3)
    assert image.mean() == pytest.approx(-34.265, abs=0.05)
