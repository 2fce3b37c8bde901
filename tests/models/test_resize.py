"""Images are resized as they are read; labels follow, results come back."""

import json

import keras
import numpy as np
import pytest
import rasterio
from exact_models import detector, red_counter, red_model
from maps import NORTH_UP, write_map

import keras_patching as kp
from keras_patching import cli
from keras_patching.data.images.resampling import resampled

RNG = np.random.default_rng(0)
SIZES = {"a": (20, 28), "b": (17, 40)}


def draw(size):
    """Draw smooth spots, so that classes are not noise."""
    image = RNG.integers(0, 256, (4, 5, 3)).astype("float32")
    return np.rint(resampled(image, size, "linear")).astype("uint8")


@pytest.fixture
def folder(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for name, size in SIZES.items():
        image = draw(size)
        kp.data.write_image(tmp_path / "images" / f"{name}.tif", image)
        mask = (image[..., 0] > 100).astype("uint8")
        kp.data.write_image(tmp_path / "masks" / f"{name}.png", mask)
    return tmp_path


def paths_of(folder):
    return [folder / "images" / f"{name}.tif" for name in SIZES]


def load(loader, folder, **options):
    return loader.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        **{"verbose": False, "shuffle": False, **options},
    )


def joined(patches, rows, cols):
    """Put tiles, in row-major order, together again."""
    height, width = patches.shape[1:3]
    tiles = patches.reshape(rows, cols, *patches.shape[1:]).swapaxes(1, 2)
    return tiles.reshape(rows * height, cols * width, *patches.shape[3:])


@pytest.mark.parametrize("resize", [0.5, (12, 20), 1.5])
def test_patches_are_those_of_the_resized_image(resize, folder):
    model = red_model(resize=resize)
    images, masks = load(model, folder)[0]
    path, _ = paths_of(folder)
    image = model.read_image(path)
    height, width, _ = image.shape
    rows, cols = -(-height // 8), -(-width // 8)
    count = rows * cols
    found = joined(images[:count], rows, cols)[:height, :width]
    np.testing.assert_array_equal(found, image)
    mask = kp.data.read_mask(folder / "masks" / "a.png")
    found = joined(masks[:count], rows, cols)[:height, :width]
    expected = resampled(mask, (height, width), "nearest")
    np.testing.assert_array_equal(found, expected)
    assert masks.dtype == "uint8"


def test_another_resize_is_another_cache_and_refused(folder):
    half = load(red_model(resize=0.5), folder)
    whole = load(red_model(), folder)
    sized = load(red_model(resize=(12, 20)), folder)
    paths = {each.manifest_path for each in (half, whole, sized)}
    assert len(paths) == 3
    model = red_model(resize=0.5)
    model.compile("sgd")
    model.fit(half, verbose=0)
    for other, name in [(whole, "None"), (sized, r"\[12, 20\]")]:
        with pytest.raises(ValueError, match=rf"resize={name}.*resize=0\.5"):
            model.fit(other, verbose=0)
    model = red_model(resize=(12, 20))
    model.compile("sgd")
    model.fit(sized, verbose=0)
    again = kp.PatchingSequence(sized.manifest_path)
    assert again.parameters["resize"] == [12, 20]
    model.fit(again, verbose=0)


def test_a_saved_model_resizes_as_before(folder, tmp_path):
    for resize in (0.5, (12, 20)):
        red_model(resize=resize).save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
        assert model.resize == resize
        image = model.read_image(paths_of(folder)[0])
        assert image.shape[:2] == ((10, 14) if resize == 0.5 else (12, 20))


@pytest.mark.parametrize("resize", [0.5, (12, 20), 1.7])
def test_classes_come_back_in_pixels_of_the_file(resize, folder, tmp_path):
    model = red_model(resize=resize)
    paths = paths_of(folder)
    found = model.predict_images(paths, transform="classes", verbose=False)
    probabilities = list(model.predict_images(paths, verbose=False))
    files = model.predict_images(
        paths, transform="classes", out=str(tmp_path / "{name}.npy")
    )
    for path, classes, each, file, size in zip(
        paths, found, probabilities, files, SIZES.values(), strict=True
    ):
        image = model.read_image(path)
        alone = model.predict(image[None], verbose=0)
        expected = resampled(
            model.decode_predictions(alone)[0], size, "nearest"
        )
        np.testing.assert_array_equal(classes, expected)
        np.testing.assert_array_equal(np.load(file), expected)
        np.testing.assert_allclose(
            each, resampled(alone[0], size, "nearest"), atol=1e-6
        )


def test_what_is_read_by_windows_is_resized_and_arrays_are_not(
    folder, tmp_path
):
    model = red_model(resize=0.5)
    path = paths_of(folder)[0]
    whole = kp.data.read_image(path)
    np.save(tmp_path / "mapped.npy", whole)
    mapped = np.load(tmp_path / "mapped.npy", mmap_mode="r")
    sources = [path, mapped, model.read_image(path), whole]
    found = list(
        model.predict_images(sources, transform="classes", verbose=False)
    )
    assert [each.shape for each in found] == [
        (20, 28),
        (20, 28),
        (10, 14),
        (20, 28),
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(
        found[0], resampled(found[2], (20, 28), "nearest")
    )
    np.testing.assert_array_equal(found[3], whole[..., 0] > 100)


@pytest.mark.parametrize("normalize", ["percentile", "zscore"])
def test_images_are_normalized_and_then_resized(normalize, folder):
    model = red_model(resize=0.5, normalize=normalize, overlap="auto")
    images, _ = load(model, folder)[0]
    path = paths_of(folder)[0]
    image = model.read_image(path)
    assert image.shape == (10, 14, 3)
    assert image.dtype == images.dtype == "float32"
    np.testing.assert_array_equal(images[0], image[:8, :8])
    alone = model.predict(image[None], verbose=0)[0]
    (found,) = model.predict_images([path], verbose=False)
    np.testing.assert_allclose(
        found, resampled(alone, (20, 28), "nearest"), atol=1e-5
    )
    whole = red_model(normalize=normalize).read_image(path)
    np.testing.assert_array_equal(image, resampled(whole, (10, 14), "linear"))


def test_a_geotiff_stays_where_its_source_lies(folder):
    path, out = folder / "map.tif", folder / "found.tif"
    write_map(path, draw((20, 28)))
    model = red_model(resize=0.5)
    options = {"transform": "classes", "verbose": False}
    (expected,) = model.predict_images([path], **options)
    model.predict_images([path], out=[out], **options)
    with rasterio.open(out) as written, rasterio.open(path) as source:
        np.testing.assert_array_equal(written.read(1), expected)
        assert written.transform == source.transform == NORTH_UP
        assert written.crs == source.crs
        (opened,) = model.predict_images([source], **options)
        np.testing.assert_array_equal(opened, expected)


def test_a_mask_of_what_is_kept_may_be_of_any_resolution(folder):
    model = red_model(resize=0.5)
    path = paths_of(folder)[1]
    keep = np.array([[0, 1]])
    (found,) = model.predict_images(
        [path], transform="classes", keep=[keep], fill=9, verbose=False
    )
    (whole,) = model.predict_images([path], transform="classes", verbose=False)
    assert found.shape == SIZES["b"]
    np.testing.assert_array_equal(found[:, 20:], whole[:, 20:])
    assert (found[:, :10] == 9).any()


def test_whole_images_are_scored_in_pixels_of_the_file(folder):
    model = red_model(resize=0.5)
    scores = model.evaluate_full_images(folder / "images", folder / "masks")
    hits = []
    for path in paths_of(folder):
        (mask,) = model.predict_images(
            [path], transform="classes", verbose=False
        )
        truth = kp.data.read_mask(folder / "masks" / f"{path.stem}.png")
        hits.append(np.stack([truth.ravel(), mask.ravel()]))
    truth, mask = np.concatenate(hits, axis=1)
    both, any_of = (truth & mask).sum(), (truth | mask).sum()
    assert scores["iou_1"] == pytest.approx(both / any_of)
    assert scores["iou_1"] > 0.8
    gallery = kp.callbacks.PredictionGallery(
        folder / "images", folder / "masks", folder / "gallery"
    )
    gallery.set_model(model)
    gallery.on_epoch_end(0)
    assert len(list((folder / "gallery").iterdir())) == 2


def test_an_opened_image_is_resized_as_its_file(folder):
    model = red_model(resize=0.5)
    path = paths_of(folder)[0]
    with kp.data.open_image(path) as opened:
        check_opened(model, opened, path, folder)


def check_opened(model, opened, path, folder):
    np.testing.assert_array_equal(
        model.read_image(opened), model.read_image(path)
    )
    found = list(model.predict_images([opened, path], verbose=False))
    assert found[0].shape[:2] == SIZES["a"]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    mask = kp.data.read_mask(folder / "masks" / "a.png")
    assert model.evaluate_full_images(
        [opened], [mask]
    ) == model.evaluate_full_images([path], [mask])
    for name, image in [("opened", opened), ("file", path)]:
        gallery = kp.callbacks.PredictionGallery([image], [mask], folder / name)
        gallery.set_model(model)
        gallery.on_epoch_end(0)
    pictures = [
        kp.data.read_image(folder / name / "epoch_001_0.png")
        for name in ("opened", "file")
    ]
    np.testing.assert_array_equal(*pictures)


def test_distorted_images_are_told_once(folder, capsys):
    model = red_model(resize=(10, 10))
    load(model, folder, verbose=True)
    printed = capsys.readouterr().out
    assert "distorts 2 of 2 images: " in printed
    assert "b.tif of (height, width) (17, 40) becomes (10, 10)" in printed
    list(model.predict_images(paths_of(folder)))
    assert capsys.readouterr().out.count("distorts") == 1


def test_heatmaps_are_drawn_in_resized_pixels(folder):
    points = {"a.tif": [(4.0, 6.0), (19.99, 27.99)], "b.tif": [(1.0, 39.0)]}
    lines = [f"{n},{x},{y}" for n, all_ in points.items() for y, x in all_]
    (folder / "points.csv").write_text("image,x,y\n" + "\n".join(lines))
    model = red_counter(resize=(10, 20))
    train = model.load_heatmap_dataset_with_csv_from_directory(
        folder / "images", folder / "points.csv", shuffle=False, verbose=False
    )
    _, heatmaps = train[0]
    assert heatmaps.sum() == pytest.approx(3, abs=1e-4)
    first = joined(heatmaps[:6], 2, 3)[:10, :20]
    peak = np.unravel_index(first[:6, :10].argmax(), (6, 10))
    # (4, 6) of 20 x 28 pixels is (2, 4.29) of 10 x 20.
    assert abs(peak[0] + 0.5 - 2) <= 0.5
    assert abs(peak[1] + 0.5 - 6 * 20 / 28) <= 0.5


def test_ready_heatmaps_keep_their_number_of_objects(folder):
    (folder / "heatmaps").mkdir()
    for name, size in SIZES.items():
        heatmap = RNG.random(size).astype("float32")
        heatmap *= 5 / heatmap.sum()
        kp.data.write_image(folder / "heatmaps" / f"{name}.npy", heatmap)
    model = red_counter(resize=0.4)
    train = model.load_dataset_from_directory_with_segmentation_masks(
        folder / "images", folder / "heatmaps", verbose=False
    )
    _, heatmaps = train[0]
    assert heatmaps.sum() == pytest.approx(10, rel=1e-4)


def test_objects_are_counted_and_found_in_pixels_of_the_file(tmp_path):
    image = np.zeros((24, 36, 3), "uint8")
    image[8:10, 24:26, 0] = 40
    path = tmp_path / "one.png"
    kp.data.write_image(path, image)
    model = red_counter(resize=0.5)
    (found,) = model.predict_images([path], verbose=False)
    assert found["count"] == pytest.approx(0.04, abs=0.003)
    np.testing.assert_allclose(found["points"], [[9, 25]])
    (heatmap,) = model.predict_images(
        [path], transform="heatmap", verbose=False
    )
    assert heatmap.shape == (24, 36, 1)
    assert heatmap.sum() == pytest.approx(found["count"], rel=1e-5)
    scores = model.evaluate_full_images([path], [[(9, 25)]], tolerance=0.1)
    assert scores["f1"] == 1
    with pytest.raises(ValueError, match="fill=1"):
        list(
            model.predict_images(
                [path], transform="heatmap", fill=1, verbose=False
            )
        )


def test_boxes_are_planned_and_found_in_resized_pixels(tmp_path):
    (tmp_path / "images").mkdir()
    image = np.zeros((26, 40, 3), "uint8")
    image[4:8, 8:16, 0] = 90
    path = tmp_path / "images" / "tray.png"
    kp.data.write_image(path, image)
    truth = {"boxes": np.array([[8.0, 4, 16, 8]]), "labels": np.array([0])}
    box = {"all_points_x": [8, 16], "all_points_y": [4, 8], "label": "leaf"}
    labels = {"tray": {"file_name": "tray.png", "objects": [box]}}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    batches = []
    for store in ("patches", "images"):
        train = kp.load_yolo_dataset_from_directory(
            tmp_path / "labels.json",
            tmp_path / "images",
            8,
            grid_size=2,
            resize=0.5,
            store=store,
            augment=False,
            shuffle=False,
            verbose=False,
        )
        batches.append(train[0])
    (images, targets), (others, _) = batches
    np.testing.assert_array_equal(images, others)
    sizes = targets["boxes"][..., 2:] - targets["boxes"][..., :2]
    is_box = targets["labels"] >= 0
    assert is_box.any()
    assert (sizes[is_box] <= [4, 2]).all()
    whole = (sizes[is_box] == [4, 2]).all(axis=1)
    assert whole.any()
    for patch, boxes, labels in zip(
        images, targets["boxes"], targets["labels"], strict=True
    ):
        for x1, y1, x2, y2 in boxes[labels >= 0].astype(int):
            assert (patch[y1:y2, x1:x2, 0] > 40).all()
    before = train[0][0].copy()
    train.resample(1)
    assert (train[0][0] != before).any()
    ((height, width),) = kp.fit_anchors(train, 1)
    assert 1.5 < height <= 2
    assert 3 < width <= 4
    # The exact detector finds boxes of 4 x 2 pixels where one is lit.
    lit = np.zeros((26, 40, 3), "uint8")
    lit[4:6, 8:10, 0] = 160
    kp.data.write_image(path, lit)
    model = detector(resize=0.5)
    (found,) = model.predict_images([path], score_threshold=0.8, verbose=False)
    np.testing.assert_allclose(found["boxes"], [[8, 4, 16, 8]])
    scores = model.evaluate_full_images([path], [truth])
    assert scores["ap50"] == 1


def test_shapes_are_drawn_in_resized_coordinates(folder):
    outline = [[4.0, 4.0], [20.0, 4.0], [20.0, 12.0], [4.0, 12.0]]
    # Counts of columns: 2 columns of 4 pixels from row 6 on, at column 10.
    height, width = SIZES["a"]
    full = np.zeros((height, width), "uint8")
    full[14:18, 22:26] = 1
    runs = np.flatnonzero(np.diff(np.r_[0, full.T.ravel(), 0])).tolist()
    counts = np.diff([0, *runs, height * width]).tolist()
    coco = {
        "images": [
            {"id": i, "file_name": f"{n}.tif", "height": h, "width": w}
            for i, (n, (h, w)) in enumerate(SIZES.items())
        ],
        "categories": [{"id": 1, "name": "leaf"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 0,
                "category_id": 1,
                "segmentation": [np.ravel(outline).tolist()],
                "bbox": [4, 4, 16, 8],
                "area": 128,
                "iscrowd": 0,
            },
            {
                "id": 2,
                "image_id": 0,
                "category_id": 1,
                "segmentation": {"size": [height, width], "counts": counts},
                "bbox": [22, 14, 4, 4],
                "area": 16,
                "iscrowd": 0,
            },
        ],
    }
    (folder / "coco.json").write_text(json.dumps(coco))
    half = kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "coco.json",
        patch_size=(10, 14),
        resize=0.5,
        unlabelled="empty",
        shuffle=False,
        verbose=False,
    )
    expected = np.zeros((10, 14), "uint8")
    expected[2:6, 2:10] = 1
    expected[7:9, 11:13] = 1
    np.testing.assert_array_equal(half[0][1][0], expected)


def test_the_command_cuts_what_the_loader_does(folder, capsys):
    command = ["patch", str(folder / "images"), str(folder / "masks")]
    assert cli.main([*command, "--patch-size", "8", "--resize", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert str(load(red_model(resize=0.5), folder).manifest_path) in printed
    assert (
        cli.main([*command, "--patch-size", "8", "--resize", "12", "20"]) == 0
    )
    printed = capsys.readouterr().out
    made = load(red_model(resize=(12, 20)), folder).manifest_path
    assert str(made) in printed
    assert cli.main([*command, "--patch-size", "8", "--resize", "512"]) != 0
    assert "Received: resize=512" in capsys.readouterr().err
    assert cli.main(["export", str(made), str(folder / "export")]) == 0
    names = sorted(p.name for p in (folder / "export" / "images").iterdir())
    # Origins are in pixels of the resized image.
    assert names[-1].startswith("b_0005_y0008_x0016")
