"""Loaders of counting cut what the labels say, and cache it."""

import json

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.data.labels.density_maps import density_map
from keras_patching.geometry import PatchGrid
from keras_patching.models.counting.heatmap_labels import points_per_patch

SIZES = {"a": (20, 33), "b": (8, 9), "c": (40, 16)}
POINTS = {
    "a": [(0, 0), (7.5, 31), (7.5, 31), (19, 32.4), (15.6, 16.4)],
    "b": [],
    "c": [(39, 15), (16.3, 0)],
}
PATCH = 16


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    images = tmp_path / "images"
    images.mkdir()
    rows = []
    for name, size in SIZES.items():
        image = rng.integers(0, 255, (*size, 3)).astype("uint8")
        write_image(images / f"{name}.png", image)
        numbers = [str(n) for y, x in POINTS[name] for n in (x, y)]
        rows.append(",".join([name, *numbers]))
        axes = {
            axis: {f"p{i}": p[k] for i, p in enumerate(POINTS[name])}
            for axis, k in (("x", 1), ("y", 0))
        }
        (images / f"{name}.json").write_text(json.dumps(axes))
    (images / "points.csv").write_text("\n".join(rows))
    return images


def load_csv(folder, **kwargs):
    kwargs = {"patch_size": PATCH, "shuffle": False, "verbose": False, **kwargs}
    return kp.load_heatmap_dataset_with_csv_from_directory(
        folder, "points.csv", **kwargs
    )


def all_of(sequence):
    batches = [sequence[index] for index in range(len(sequence))]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def test_batches_hold_the_density_of_the_whole_image(folder):
    images, heatmaps = all_of(load_csv(folder, density_map_sigma=3.0))
    assert images.dtype == "uint8"
    assert heatmaps.dtype == "float32"
    assert heatmaps.shape == images.shape[:3]
    total = sum(map(len, POINTS.values()))
    np.testing.assert_allclose(heatmaps.sum(), total, rtol=1e-5)
    whole = density_map(sorted(POINTS["a"]), SIZES["a"], 3.0)
    stitched = np.block([list(heatmaps[:3]), list(heatmaps[3:6])])
    np.testing.assert_array_equal(stitched[:20, :33], whole)


def test_csv_and_json_share_the_patches_of_the_same_points(folder):
    from_csv = load_csv(folder)
    from_json = kp.load_heatmap_dataset_with_json_files_from_directory(
        folder, PATCH, shuffle=False, verbose=False
    )
    assert from_csv.manifest_path != from_json.manifest_path
    shards = list((from_csv.directory / "shards").iterdir())
    assert len(shards) == 9  # images, heatmaps and points of three images


def test_labels_of_two_files_are_two_caches(folder):
    text = (folder / "points.csv").read_text()
    (folder / "other.csv").write_text("a,1,1\nb\nc\n")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "points.csv").write_text("a,1,1,2,2\nb\nc\n")
    names = ("points.csv", "other.csv", folder / "deeper" / "points.csv")
    sequences = [load_named(folder, name) for name in names]
    assert len({sequence.manifest_path for sequence in sequences}) == 3
    for sequence, count in zip(sequences, (7, 1, 2), strict=True):
        for each in (sequence, kp.PatchingSequence(sequence.manifest_path)):
            np.testing.assert_allclose(all_of(each)[1].sum(), count, rtol=1e-5)
    with pytest.raises(ValueError, match="holds 3 manifests") as error:
        kp.PatchingSequence(sequences[0].directory)
    assert "(labels of deeper/points.csv)" in str(error.value)
    # Labels that change in their file take the place of what they were.
    (folder / "points.csv").write_text(text.replace("39", "38"))
    assert load_csv(folder).manifest_path == sequences[0].manifest_path


def load_named(folder, label_file):
    return kp.load_heatmap_dataset_with_csv_from_directory(
        folder, label_file, PATCH, shuffle=False, verbose=False
    )


def test_what_images_without_a_label_are_makes_another_cache(folder):
    (folder / "points.csv").write_text("image,x,y\na,1,1\nb,2,2\n")
    skipped = load_csv(folder, unlabelled="skip")
    empty = load_csv(folder, unlabelled="empty")
    for sequence, count in ((skipped, 2), (empty, 3)):
        again = kp.PatchingSequence(sequence.manifest_path)
        assert len(again.image_names) == count


def test_another_sigma_leaves_the_image_shards_alone(folder):
    def written():
        directory = load_csv(folder, density_map_sigma=sigma).directory
        return {p.name: p.stat().st_mtime_ns for p in directory.glob("*/*")}

    sigma = 4.0
    before = written()
    sigma = 2.0
    after = written()
    assert before.items() <= after.items()
    new = set(after) - set(before)
    assert len(new) == 3
    assert all(name.endswith(".heatmaps.npy") for name in new)


def test_a_second_call_finds_the_patches(folder, capsys):
    load_csv(folder)
    load_csv(folder, verbose=True)
    assert "Found 10 cached patches of 3 images" in capsys.readouterr().out


def test_one_changed_point_draws_one_image_again(folder):
    directory = load_csv(folder).directory
    before = set(directory.glob("shards/*"))
    path = folder / "points.csv"
    path.write_text(path.read_text().replace("39", "38"))
    load_csv(folder)
    new = {path.name for path in set(directory.glob("shards/*")) - before}
    assert len(new) == 2
    assert all(name.startswith("c-") for name in new)


def test_patches_with_objects_are_drawn_more_often(folder):
    sequence = load_csv(folder, foreground_fraction=1.0, density_map_sigma=0.5)
    _, heatmaps = all_of(sequence)
    assert sequence.num_samples == 10
    assert (heatmaps.sum(axis=(1, 2)) > 0.5).all()


def test_augmentation_moves_image_and_heatmap_together(tmp_path):
    image = np.zeros((PATCH, PATCH, 3), "uint8")
    image[3, 5] = 200
    write_image(tmp_path / "a.png", image)
    (tmp_path / "points.csv").write_text("a,5.5,3.5")
    sequence = load_csv(
        tmp_path, augment=True, density_map_sigma=0.5, seed=0, batch_size=1
    )
    for _ in range(5):
        images, heatmaps = sequence[0]
        assert images[0, ..., 0].argmax() == heatmaps[0].argmax()
        np.testing.assert_allclose(heatmaps.sum(), 1, rtol=1e-5)
        sequence.on_epoch_begin()
        sequence.on_epoch_end()


def test_a_table_is_read_by_its_columns_and_says_so(folder, capsys):
    text = "Y;X;Label\n1,5;2,5;a.png\n3;4;b.png\n5;6;c.png\n"
    (folder / "points.csv").write_text(text)
    _, heatmaps = all_of(load_csv(folder, verbose=True, density_map_sigma=1))
    np.testing.assert_allclose(heatmaps.sum(), 3, rtol=1e-5)
    printed = capsys.readouterr().out
    assert "read the columns Label, X, Y; separated by semicolons" in printed
    assert "decimals after a comma" in printed


def test_classes_are_counted_and_may_be_chosen(folder, capsys):
    text = "image,x,y,class\na,1,2,cell\na,3,4,dead\nb,1,2,cell\nc,,,\n"
    (folder / "points.csv").write_text(text)
    both = load_csv(folder, verbose=True)
    assert "3 objects (cell 2, dead 1)" in capsys.readouterr().out
    cells = load_csv(folder, classes=["cell"])
    assert cells.manifest_path != both.manifest_path
    for sequence, count in ((both, 3), (cells, 2)):
        _, heatmaps = all_of(sequence)
        np.testing.assert_allclose(heatmaps.sum(), count, rtol=1e-5)
    (points,) = kp.read_points(folder, "points.csv", classes=["dead"])[
        "a.png"
    ].tolist()
    assert points == [4, 3]
    with pytest.raises(ValueError, match=r"'cel'\. Their classes .* cell 2, d"):
        load_csv(folder, classes=["cel"])


@pytest.mark.parametrize("label_file", ["a.json", "../images"])
def test_json_in_the_place_of_a_table_is_known_by_its_content(
    folder, label_file
):
    (folder / "points.csv").unlink()
    sequence = kp.load_heatmap_dataset_with_csv_from_directory(
        folder, label_file, PATCH, unlabelled="skip", verbose=False
    )
    count = len(POINTS["a"]) + (
        len(POINTS["c"]) if label_file != "a.json" else 0
    )
    np.testing.assert_allclose(all_of(sequence)[1].sum(), count, rtol=1e-5)


def test_json_that_does_not_name_its_image_is_an_error(folder):
    (folder / "a.json").rename(folder / "labels.json")
    with pytest.raises(ValueError, match="does not name its image"):
        kp.read_points(folder, "labels.json")


@pytest.fixture
def heatmaps(folder):
    (folder.parent / "heatmaps").mkdir()
    return folder.parent / "heatmaps"


def load_ready(folder, heatmaps, **kwargs):
    return kp.load_heatmap_dataset_with_heatmap_files_from_directory(
        folder, heatmaps, PATCH, **{"shuffle": False, "verbose": False} | kwargs
    )


@pytest.mark.parametrize(("suffix", "dtype"), [("png", "uint8"), ("npy", "f4")])
def test_ready_heatmaps_are_read_in_their_unit(folder, heatmaps, suffix, dtype):
    rng = np.random.default_rng(1)
    arrays = {}
    for name, size in SIZES.items():
        arrays[name] = rng.integers(0, 255, size).astype(dtype)
        write_image(heatmaps / f"{name}.{suffix}", arrays[name])
    _, found = all_of(load_ready(folder, heatmaps, heatmap_unit=1e-4))
    expected = sum(array.sum(dtype="float64") for array in arrays.values())
    np.testing.assert_allclose(
        found.sum(dtype="float64"), expected * 1e-4, rtol=1e-5
    )


def test_integers_without_a_unit_are_refused_with_the_choice(folder, heatmaps):
    for name, size in SIZES.items():
        heatmap = np.zeros(size, "uint8")
        heatmap[3, 4] = 51
        write_image(heatmaps / f"{name}.png", heatmap)
    with pytest.raises(ValueError, match=r"a\.png: holds integers") as error:
        load_ready(folder, heatmaps)
    assert "as do 2 more heatmaps" in str(error.value)
    assert "heatmap_unit=1 / 255 if 255" in str(error.value)
    assert "heatmap_unit=1 if they are objects" in str(error.value)
    assert not (folder.parent / "images_patches").exists()
    _, found = all_of(load_ready(folder, heatmaps, heatmap_unit=1 / 255))
    np.testing.assert_allclose(found.sum(), 3 * 0.2, rtol=1e-5)


def test_floats_without_a_unit_are_objects_per_pixel(folder, heatmaps):
    for name, size in SIZES.items():
        heatmap = np.zeros(size, "float32")
        heatmap[3, 4] = 0.75
        write_image(heatmaps / f"{name}.tif", heatmap)
    _, found = all_of(load_ready(folder, heatmaps))
    assert found.sum() == 2.25


def test_more_objects_than_fit_into_the_pixels_are_warned_of(folder, heatmaps):
    for name, size in SIZES.items():
        write_image(heatmaps / f"{name}.npy", np.full(size, 200, "float32"))
    with pytest.warns(UserWarning, match=r"hold 274,400 objects in 1,372 pix"):
        load_ready(folder, heatmaps)


@pytest.mark.parametrize(
    ("values", "reason"),
    [([-1.0], "must hold numbers from 0"), ([np.nan], "from 0")],
)
def test_ready_heatmaps_of_other_values_are_refused(tmp_path, values, reason):
    (tmp_path / "images").mkdir()
    (tmp_path / "heatmaps").mkdir()
    write_image(tmp_path / "images/a.png", np.zeros((8, 8, 3), "uint8"))
    heatmap = np.full((8, 8), values, "float32")
    write_image(tmp_path / "heatmaps/a.npy", heatmap)
    with pytest.raises(ValueError, match=reason) as error:
        kp.load_heatmap_dataset_with_heatmap_files_from_directory(
            tmp_path / "images", tmp_path / "heatmaps", PATCH, verbose=False
        )
    assert "a.npy" in str(error.value)


def test_a_point_outside_its_image_is_refused_before_anything_is_cut(folder):
    (folder / "points.csv").write_text("a,33,3\nb\nc,1,40")
    with pytest.raises(ValueError, match=r"points\.csv.*\b1\b") as error:
        load_csv(folder)
    assert "(20, 33)" in str(error.value)
    assert "(40, 16)" in str(error.value)
    assert not (folder.parent / "images_patches").exists()


def test_a_label_file_may_lie_elsewhere(folder):
    moved = (folder / "points.csv").rename(folder.parent / "labels.csv")
    sequence = kp.load_heatmap_dataset_with_csv_from_directory(
        folder, moved, PATCH, verbose=False
    )
    assert sequence.num_samples == 10
    assert len(kp.read_points(folder, moved)["a.png"]) == 5


def test_foreground_classes_are_refused(folder):
    with pytest.raises(TypeError, match="no argument `foreground_classes`"):
        load_csv(folder, foreground_classes=[1])
    sequence = load_csv(folder)
    with pytest.raises(ValueError, match="labels have none"):
        kp.PatchingSequence(sequence.manifest_path, foreground_classes=[1])


@pytest.mark.parametrize("sigma", [0, -1.0, np.nan, "4"])
def test_a_sigma_must_be_a_positive_number(folder, sigma):
    with pytest.raises(ValueError, match="density_map_sigma"):
        load_csv(folder, density_map_sigma=sigma)


def test_a_point_just_before_a_seam_stays_in_its_patch():
    points = np.array([[15.9999999999, 31.9999999999]])
    owned = points_per_patch(points, PatchGrid((32, 32), 16))
    assert (owned < 16).all()
    assert (owned[1, 0] > 15.9).all()


@pytest.fixture
def dots(folder):
    """Dot images of the points, of which those in one pixel are one."""
    (folder.parent / "dots").mkdir()
    for name, size in SIZES.items():
        image = np.zeros(size, "uint8")
        for y, x in POINTS[name]:
            image[int(y), int(x)] = 255
        write_image(folder.parent / "dots" / f"{name}.png", image)
    return folder.parent / "dots"


def test_dot_images_are_drawn_as_heatmaps(folder, dots):
    sequence = load_ready(folder, dots, dots="pixels", density_map_sigma=2)
    _, heatmaps = all_of(sequence)
    np.testing.assert_allclose(heatmaps.sum(), 6, rtol=1e-5)
    model = kp.HeatmapObjectCountingModel(
        keras.Sequential([keras.Input((None, None, 3)), keras.layers.Dense(1)]),
        density_map_sigma=2,
        patch_size=PATCH,
    )
    again = model.load_dataset_from_directory_with_segmentation_masks(
        folder, dots, dots="pixels", shuffle=False, verbose=False
    )
    assert again.manifest_path == sequence.manifest_path
    points = kp.read_points(folder, dots, dots="pixels")
    assert points["c.png"].tolist() == [[16.5, 0.5], [39.5, 15.5]]


def test_dot_images_are_told_from_heatmaps_and_never_guessed(folder, dots):
    with pytest.raises(ValueError, match='dots="pixels" or dots="blobs"'):
        load_ready(folder, dots)
    with pytest.raises(ValueError, match="Received: heatmap_unit="):
        load_ready(folder, dots, dots="blobs", heatmap_unit=0.5)
    with pytest.raises(ValueError, match="It holds images: dot images and h"):
        kp.read_points(folder, dots)
    with pytest.raises(ValueError, match="neither `unlabelled` nor `classes`"):
        kp.read_points(folder, dots, "skip", dots="blobs")


def test_dot_images_of_another_size_are_refused(folder, dots):
    write_image(dots / "b.png", np.zeros((9, 9), "uint8"))
    with pytest.raises(ValueError, match=r"b\.png: declares the size .*\(9, 9"):
        load_ready(folder, dots, dots="blobs")
