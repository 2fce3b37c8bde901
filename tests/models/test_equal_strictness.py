"""Forms of one thing are equally strict: each fault is refused in each form.

Objects are `(x, y)`, and in forms of boxes the corner of a box of their size.
"""

import itertools
import json

import numpy as np
import pytest
from PIL import Image

import keras_patching as kp
from keras_patching.data.images.image_io import write_image

HEIGHT, WIDTH = 40, 60
RIGHT = {"a": [(50, 5), (7.5, 30)], "b": []}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for name in "ab":
        image = np.zeros((HEIGHT, WIDTH, 3), "uint8")
        write_image(tmp_path / "images" / f"{name}.png", image)
    return tmp_path / "images"


# Each form writes a dict from image to objects, and loads it.


def write_wide(folder, labels):
    rows = [[name, *itertools.chain(*found)] for name, found in labels]
    write_rows(folder, rows)


def write_long(folder, labels):
    rows = [["image", "x", "y"]]
    for name, found in labels:
        rows += [[name, *point] for point in found or [("", "")]]
    write_rows(folder, rows)


def write_rows(folder, rows):
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (folder / "points.csv").write_text(text)


def write_json_beside(folder, labels):
    for name, found in labels:
        axes = {
            axis: {f"p{i}": point[k] for i, point in enumerate(found)}
            for k, axis in enumerate("xy")
        }
        (folder / f"{name}.json").write_text(json.dumps(axes))


def write_boxes(folder, labels):
    entries = [
        f"{json.dumps(name)}: "
        + json.dumps({"objects": [extent(*point) for point in found]})
        for name, found in labels
    ]
    (folder / "labels.json").write_text(f"{{{', '.join(entries)}}}")


def extent(x, y):
    side = side_of(x, y)
    return {
        "all_points_x": [x, x if isinstance(x, str) else x + side],
        "all_points_y": [y, y if isinstance(y, str) else y + side],
    }


def side_of(x, y):
    return 0.1 if isinstance(x, float) and x < 1 else 4


def write_coco(folder, labels):
    content = {
        "images": [
            {"id": index, "file_name": name}
            for index, (name, _) in enumerate(labels)
        ],
        "categories": [{"id": 7, "name": "plant"}],
        "annotations": [
            {
                "image_id": index,
                "category_id": 7,
                "bbox": [x, y, side_of(x, y), side_of(x, y)],
            }
            for index, (_, found) in enumerate(labels)
            for x, y in found
        ],
    }
    (folder / "labels.json").write_text(json.dumps(content))


def write_via(folder, labels):
    entries = {
        f"{name}99": {
            "filename": name,
            "size": 99,
            "regions": [
                {
                    "shape_attributes": {
                        "name": "rect",
                        "x": x,
                        "y": y,
                        "width": side_of(x, y),
                        "height": side_of(x, y),
                    },
                    "region_attributes": {},
                }
                for x, y in found
            ],
        }
        for name, found in labels
    }
    (folder / "labels.json").write_text(json.dumps(entries))


def corners(x, y):
    """x1, y1, x2 and y2."""
    (x1, x2), (y1, y2) = extent(x, y).values()
    return x1, y1, x2, y2


def write_box_rows(folder, labels):
    rows = [["image", "xmin", "ymin", "xmax", "ymax"]]
    for name, found in labels:
        rows += [[name, *corners(*point)] for point in found] or [[name]]
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (folder / "labels.json").write_text(text)


def write_voc(folder, labels):
    (folder / "labels.json").mkdir()
    for name, found in labels:
        objects = "".join(
            "<object><name>plant</name><bndbox>"
            + "".join(
                f"<{key}>{text}</{key}>"
                for key, text in zip(
                    ("xmin", "ymin", "xmax", "ymax"),
                    corners(*point),
                    strict=True,
                )
            )
            + "</bndbox></object>"
            for point in found
        )
        (folder / "labels.json" / f"{name}.xml").write_text(
            f"<annotation>{objects}</annotation>"
        )


def write_labelme(folder, labels):
    (folder / "labels.json").mkdir()
    for name, found in labels:
        boxes = [list(corners(*point)) for point in found]
        content = {
            "version": "5.5.0",
            "shapes": [
                {
                    "label": "plant",
                    "shape_type": "rectangle",
                    "points": [box[:2], box[2:]],
                    "group_id": None,
                }
                for box in boxes
            ],
            "imagePath": name,
            "imageData": None,
        }
        (folder / "labels.json" / f"{name}.json").write_text(
            json.dumps(content)
        )


def write_yolo(folder, labels):
    (folder / "labels.json").mkdir()
    (folder / "labels.json" / "classes.txt").write_text("plant\n")
    for name, found in labels:
        rows = []
        for point in found:
            x1, y1, x2, y2 = corners(*point)
            fractions = (
                (x1 + x2) / 2 / WIDTH,
                (y1 + y2) / 2 / HEIGHT,
                (x2 - x1) / WIDTH,
                (y2 - y1) / HEIGHT,
            )
            rows.append("0 " + " ".join(map(str, fractions)) + "\n")
        (folder / "labels.json" / f"{name}.txt").write_text("".join(rows))


def load_csv(folder, **options):
    return kp.load_heatmap_dataset_with_csv_from_directory(
        folder, "points.csv", 32, verbose=False, **options
    )


def load_json_beside(folder, **options):
    return kp.load_heatmap_dataset_with_json_files_from_directory(
        folder, 32, verbose=False, **options
    )


def load_boxes(folder, **options):
    return kp.load_yolo_dataset_from_directory(
        "labels.json", folder, 32, grid_size=2, verbose=False, **options
    )


def read_csv(folder, **options):
    return kp.read_points(folder, "points.csv", **options)


def read_boxes(folder, **options):
    found = kp.read_boxes("labels.json", folder, **options)
    return {name: each["boxes"][:, 1::-1] for name, each in found.items()}


FORMS = {
    "wide CSV": (write_wide, read_csv, load_csv),
    "long CSV": (write_long, read_csv, load_csv),
    "JSON beside": (write_json_beside, kp.read_points, load_json_beside),
    "boxes": (write_boxes, read_boxes, load_boxes),
    "COCO": (write_coco, read_boxes, load_boxes),
    "VIA": (write_via, read_boxes, load_boxes),
    "CSV of boxes": (write_box_rows, read_boxes, load_boxes),
    "Pascal VOC": (write_voc, read_boxes, load_boxes),
    "LabelMe": (write_labelme, read_boxes, load_boxes),
}
FAULTS = {
    "text for a number": ([("a", [("two", 5)]), ("b", [])], "found 'two'"),
    "not a number": ([("a", [(float("nan"), 5)]), ("b", [])], "found '?nan"),
    "infinite": ([("a", [(5, float("inf"))]), ("b", [])], "found '?inf"),
    "right of the image": (
        [("a", [(99, 5)]), ("b", [])],
        r"lies? (out|inside)",
    ),
    "above the image": ([("a", [(5, -5)]), ("b", [])], r"lies? (out|inside)"),
    "y before x": (
        [("a", [(5, 50)]), ("b", [])],
        "x and y swapped all .* write x",
    ),
    "fractions": (
        [("a", [(0.25, 0.5), (0.75, 0.125)]), ("b", [])],
        "fractions of the image.*by its width, 60, and y by its height, 40",
    ),
    "one object as a fraction": ([("a", [(0.5, 0.5)]), ("b", [])], "fractions"),
    "an image not named": ([("a", [(5, 5)])], 'unlabelled="skip".*="empty"'),
    "no such image": (
        [("a", []), ("b", []), ("c", [(5, 5)])],
        "found the name 'c'|c.json: has no image",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_objects_are_read_from_each_form(folder, form):
    write, read, load = FORMS[form]
    write(folder, RIGHT.items())
    found = {name: each.tolist() for name, each in read(folder).items()}
    assert found == {"a.png": [[5, 50], [30, 7.5]], "b.png": []}
    assert load(folder).image_names == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "write",
    [
        write_boxes,
        write_coco,
        write_via,
        write_box_rows,
        write_voc,
        write_labelme,
        write_yolo,
    ],
)
def test_boxes_of_each_form_come_back_from_an_export(folder, write):
    write(folder, RIGHT.items())
    # Each patch is the whole image, so that its boxes are those of the image.
    cache = kp.load_yolo_dataset_from_directory(
        "labels.json",
        folder,
        (HEIGHT, WIDTH),
        grid_size=1,
        augment=False,
        empty_patches=1,
        verbose=False,
    ).manifest_path
    out = folder.with_name("out")
    kp.data.export_patches(cache, out, verbose=False)
    forms = {
        name: kp.read_boxes(out / name, out / "images")
        for name in ("labels.json", "coco.json", "labels")
    }
    for name, exact in (("labels.json", 0), ("coco.json", 0), ("labels", 1e-4)):
        assert {patch[0] for patch in forms[name]} == {"a", "b"}
        for patch, found in forms[name].items():
            points = RIGHT[patch[0]]
            expected = [corners(*point) for point in points]
            np.testing.assert_allclose(
                found["boxes"], np.reshape(expected, (-1, 4)), atol=exact
            )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_form_refuses_each_fault(folder, form, fault):
    write, *readers = FORMS[form]
    labels, words = FAULTS[fault]
    write(folder, labels)
    for read in readers:
        with pytest.raises(ValueError, match=words) as error:
            read(folder)
        assert str(folder) in str(error.value)
    assert not folder.with_name("images_patches").exists()


@pytest.mark.parametrize("form", FORMS)
def test_the_labels_may_decide_which_images_belong(folder, form):
    write, read, load = FORMS[form]
    write(folder, [("a", [(5, 5)])])
    for unlabelled, names in (
        ("skip", ["a.png"]),
        ("empty", ["a.png", "b.png"]),
    ):
        assert list(read(folder, unlabelled=unlabelled)) == names
        assert load(folder, unlabelled=unlabelled).image_names == names
    with pytest.raises(ValueError, match="Received: unlabelled=None"):
        load(folder, unlabelled=None)


@pytest.mark.parametrize("form", FORMS)
def test_places_on_the_unturned_photo_are_told_with_a_mend(folder, form):
    write, read, load = FORMS[form]
    exif = Image.Exif()
    exif[274] = 6
    (folder / "a.png").unlink()
    photo = Image.new("RGB", (WIDTH, HEIGHT))
    photo.save(folder / "a.jpg", exif=exif)
    write(folder, RIGHT.items())
    for function in (read, load):
        with pytest.raises(
            ValueError, match=r"EXIF orientation of a\.jpg .*rem"
        ):
            function(folder)
    photo.save(folder / "a.jpg")
    assert len(read(folder)["a.jpg"]) == 2


@pytest.mark.parametrize("form", FORMS)
def test_a_few_places_in_the_first_whole_pixels_are_no_fractions(folder, form):
    write, read, _ = FORMS[form]
    write(folder, [("a", [(0, 1)]), ("b", [(1, 0), (0.5, 9)])])
    assert len(read(folder)["b.png"]) == 2


# Label images: masks and ready heatmaps


def load_masks(folder):
    return kp.load_dataset_from_directory_with_segmentation_masks(
        folder, folder.with_name("labels"), 32, verbose=False
    )


def load_heatmaps(folder):
    return kp.load_heatmap_dataset_with_heatmap_files_from_directory(
        folder, folder.with_name("labels"), 32, heatmap_unit=0.01, verbose=False
    )


GREY = np.resize(np.array([0, 1, 1, 0, 0], "uint8"), (HEIGHT, WIDTH))
SEEN = GREY * np.uint8(255)
BLACK = np.zeros_like(GREY)
IMAGES = {
    "JPEG": ("a.jpg", Image.fromarray(SEEN), "JPEG"),
    "JPEG named PNG": ("a.png", (Image.fromarray(SEEN), "JPEG"), "lossy"),
    "lossy WebP": ("a.webp", Image.fromarray(SEEN), "lossy"),
    "colours": ("a.png", np.stack([SEEN, BLACK, BLACK], -1), "3 channels"),
    "one-hot": ("a.npy", np.stack([1 - GREY, GREY], -1), "2 channels that"),
    "alpha": ("a.png", np.stack([BLACK] * 3 + [SEEN], -1), "alpha channel"),
    "another size": ("a.png", GREY[1:], r"\(39, 60\)"),
    "below 0": ("a.npy", GREY - np.float32(1), "-1"),
    "not finite": ("a.npy", GREY + np.float32(np.inf), "finite|whole numbers"),
    "no label": ("c.png", GREY, "a.png: has no (mask|heatmap)"),
}


@pytest.mark.parametrize("load", [load_masks, load_heatmaps])
@pytest.mark.parametrize("fault", IMAGES)
def test_masks_and_heatmaps_refuse_the_same_files(folder, load, fault):
    name, content, words = IMAGES[fault]
    save_labels(folder, name, content)
    with pytest.raises(ValueError, match=words) as error:
        load(folder)
    assert name in str(error.value)


@pytest.mark.parametrize("load", [load_masks, load_heatmaps])
@pytest.mark.parametrize(
    "content",
    [
        GREY,
        np.stack([GREY] * 3, -1),
        np.stack([GREY] * 3 + [BLACK + 255], -1),
        Image.fromarray(GREY).convert("P"),
    ],
)
def test_masks_and_heatmaps_of_the_same_file_are_the_same(
    folder, load, content
):
    save_labels(folder, "a.png", content)
    unit = 1 if load is load_masks else 0.01
    labels = load(folder)[0][1]
    np.testing.assert_allclose(labels.sum(), 2 * GREY.sum() * unit, rtol=1e-5)


def save_labels(folder, name, content):
    """Write the label of a.png as told, and a right one of b.png."""
    labels = folder.with_name("labels")
    labels.mkdir()
    write_image(labels / "b.png", GREY)
    if isinstance(content, np.ndarray):
        write_image(labels / name, content)
    elif isinstance(content, tuple):
        image, kind = content
        image.save(labels / name, format=kind)
    else:
        content.save(labels / name)
