"""The page of a prediction of files shows what is in the folder."""

import numpy as np
import pytest
from exact_models import detector, red_counter, red_model
from page_reader import PageReader

from keras_patching.data.images.image_io import write_whole_image
from keras_patching.data.images.label_images import read_mask
from keras_patching.inference.file_prediction import predict_files
from keras_patching.inference.pages.written_files import read_shown

DARK, RED = (9, 9, 9), (200, 9, 9)


@pytest.fixture
def folder(tmp_path):
    """Images of 10 x 14 pixels; that of "half" has 70 red ones."""
    for name, columns in (("none", 0), ("half", 7), ("all", 14)):
        image = np.full((10, 14, 3), DARK, "uint8")
        image[:, :columns] = RED
        write_whole_image(tmp_path / "images" / f"{name}.png", image)
    return tmp_path / "images"


def predict(model, folder, out, **kwargs):
    done = predict_files(
        model, folder, out, verbose=False, report=True, **kwargs
    )
    return done, PageReader((out / "report.html").read_text("utf-8"))


def cells(page, name):
    (row,) = (row for row in page.rows if row[1][0].startswith(name))
    return [float(number) for _, number in row[2:-1]]


def images(page, name):
    """Small picture and layer, large picture and layer, of an image."""
    start = [row[1][0].split(".")[0] for row in page.rows].index(name)
    per_row = len(page.pictures()) // len(page.rows)
    return page.pictures()[start * per_row : (start + 1) * per_row]


def test_it_shows_masks_and_the_area_of_each_class(folder, tmp_path):
    _, page = predict(red_model(), folder, tmp_path / "out")
    assert [row[1][0] for row in page.rows] == [
        f"{name}.png14 x 10 px" for name in ("all", "half", "none")
    ]
    assert cells(page, "half") == [0.5, 0.5]
    assert cells(page, "none") == [1, 0]
    assert "50.00%70 px" in page.text
    assert "210" in page.text  # pixels of class 1 in all images
    small, mask, large, large_mask = map(np.asarray, images(page, "half"))
    assert small.shape == large.shape == (10, 14, 3)
    assert abs(large[5, 2] - RED).max() < 40  # As good as JPEG is.
    for layer in mask, large_mask:
        assert (layer[:, :7, 3] > 0).all()
        assert (layer[:, 7:, 3] == 0).all()


def test_classes_have_their_names_colours_and_values(folder, tmp_path):
    model = red_model(
        class_names=("soil", "<maize>"),
        class_colors={"soil": (0, 0, 0), "<maize>": (255, 170, 0)},
        class_ids=(7, 3),
    )
    out = tmp_path / "out"
    _, page = predict(model, folder, out)
    assert np.unique(read_mask(out / "masks" / "half.png")).tolist() == [3, 7]
    assert page.head[2:4] == ["soilshare, pixels", "<maize>share, pixels"]
    assert cells(page, "half") == [0.5, 0.5]
    *_, mask = map(np.asarray, images(page, "half"))
    assert mask[5, 2].tolist() == [255, 170, 0, 128]
    assert (mask[:, 7:, 3] == 0).all()


@pytest.mark.parametrize(
    "options",
    [
        {"transform": "probabilities"},
        {"format": "npy"},
        {"format": "tif"},
        {"format": "zarr"},
    ],
)
def test_it_reads_results_in_whatever_format(folder, tmp_path, options):
    if "zarr" in options.values():
        pytest.importorskip("zarr")
    _, page = predict(red_model(), folder, tmp_path / "out", **options)
    *_, mask = map(np.asarray, images(page, "half"))
    assert (mask[:, :7, 3] > 0).all()
    assert (mask[:, 7:, 3] == 0).all()


def test_it_shows_counts_heatmaps_and_rings(folder, tmp_path):
    image = np.zeros((10, 14, 3), "uint8")
    image[3, 12, 0] = 40
    write_whole_image(folder / "one.png", image)
    _, page = predict(red_counter(), folder, tmp_path / "out")
    assert cells(page, "one") == [0.04, 1]
    heatmap = np.asarray(images(page, "one")[1])
    assert heatmap[3, 12, 3] == heatmap[..., 3].max() > 0
    circles = page.named("circle", cx="12.5", cy="3.5", r="4")
    assert len(circles) == 1
    done, page = predict(
        red_counter(), folder, tmp_path / "counts", transform="heatmap"
    )
    assert not done.faults
    assert cells(page, "one") == [0.04]
    assert not page.named("circle")


def test_it_shows_the_boxes_of_each_class(tmp_path):
    image = np.zeros((13, 18, 3), "uint8")
    image[2, 1, 0], image[11, 12, 1] = 90, 60
    write_whole_image(tmp_path / "trays" / "two.png", image)
    _, page = predict(detector(), tmp_path / "trays", tmp_path / "out")
    assert cells(page, "two") == [2, 1, 1]
    assert page.head[2:5] == ["All classesboxes", "leafboxes", "fruitboxes"]
    assert page.named("rect", x="1", y="2", width="4", height="2")
    assert page.named("rect", x="12", y="11", width="4", height="2")
    assert [
        found["value"] for found in page.named("input", type="checkbox")
    ] == [
        "boxes-0",
        "boxes-1",
    ]
    assert "0.90" in page.text


def test_a_resumed_prediction_has_all_images_on_its_page(folder, tmp_path):
    model, out = red_model(), tmp_path / "out"
    (folder / "half.png").rename(tmp_path / "kept.png")
    (folder / "half.png").write_bytes(b"no image")
    done, page = predict(model, folder, out)
    assert len(done.faults) == 1
    assert len(page.rows) == 2
    assert "1 image failed" in page.text
    assert "half.png: not an image" in page.text
    (tmp_path / "kept.png").rename(folder / "half.png")
    done, page = predict(model, folder, out)
    assert done.num_before == 2
    assert len(page.rows) == 3
    assert "failed" not in page.text


def test_a_page_can_be_asked_for_when_a_prediction_goes_on(folder, tmp_path):
    model, out = red_model(), tmp_path / "out"
    (folder / "bad.png").write_bytes(b"no image")
    predict_files(model, folder, out, verbose=False)
    assert not (out / "report.html").exists()
    (folder / "bad.png").unlink()
    done, page = predict(model, folder, out)
    assert done.num_before == 3
    assert len(page.rows) == 3


def test_any_name_of_a_file_is_shown_as_it_is(folder, tmp_path):
    name = "<script>alert('1')</script> \"&quot;".replace("/", "\udcfc")
    (folder / "half.png").rename(folder / f"{name}.png")
    _, page = predict(red_model(), folder, tmp_path / "out")
    shown = f"{name}.png".replace("\udcfc", "\\xfc")
    assert shown in [row[1][0].removesuffix("14 x 10 px") for row in page.rows]
    assert len(page.named("script")) == 1


def test_large_images_are_read_as_large_as_they_are_shown(tmp_path):
    image = np.zeros((4, 6500, 3), "uint8")
    image[:, 3000:] = 200
    write_whole_image(tmp_path / "wide.npy", image)
    shown = read_shown(tmp_path / "wide.npy")
    assert shown.shape == (2, 2167, 3)
    np.testing.assert_array_equal(shown, image[::3, ::3])
    assert read_shown(tmp_path / "wide.npy", step=1).shape == image.shape


def test_a_page_of_others_is_not_replaced(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("mine")
    with pytest.raises(ValueError, match=r"report\.html"):
        predict(red_model(), folder, out)
    assert [path.name for path in out.iterdir()] == ["report.html"]
    predict_files(red_model(), folder, out, verbose=False)
    assert (out / "report.html").read_text() == "mine"


def test_where_all_images_failed_the_page_tells_why(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bad.png").write_bytes(b"no image")
    done, page = predict(red_model(), tmp_path / "images", tmp_path / "out")
    assert not done.rows
    assert not page.rows
    assert "bad.png: not an image" in page.text


def test_16_bits_are_shown_from_darkest_to_brightest(tmp_path):
    image = np.full((10, 14, 3), 100, "uint16")
    image[:, :7] = 180
    write_whole_image(tmp_path / "images" / "deep.tif", image)
    _, page = predict(red_model(), tmp_path / "images", tmp_path / "out")
    large = np.asarray(images(page, "deep")[2])
    assert large[5, 2].min() > 250
    assert large[5, 12].max() < 5
