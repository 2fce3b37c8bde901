"""Does a model that was trained on 8 bits give the same on 12-bit originals?

    python tests/benchmarks/normalized_originals.py DATA

DATA holds `coffee_leaf`, `bm_graz` and `bccd`. Pixels are averaged over blocks,
which gives real images of 12 bits; channels are dimmed to ranges of their own,
and kept in 16-bit TIFFs. The same rounded to 8 bits is trained on. Predicted
are these, the originals, and the originals with noise as large as the rounding,
of whole images that were not trained on. The two last columns say how far the
outputs of a pixel (of a patch of the detector) lie apart: rounding explains
what is no more than what its own noise makes.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np

import keras_patching as kp
from keras_patching.data.images.image_io import read_image, write_image

import keras  # isort: skip

DIMMED = 1, 0.6, 0.3
KINDS = "8 bits", "12 bits", "12 bits, noise"
# Folder, images, side of the blocks, per task.
SETS = {
    "segmentation": ("coffee_leaf", 24, 4),
    "counting": ("bm_graz", 11, 2),
    "detection": ("bccd", 24, 2),
}
SHARE = 0.25  # that is predicted, not trained on


def make_images(folder, paths, side, rng):
    """Write each image in three kinds; gives their names without suffix."""
    for kind in KINDS:
        for part in ("train", "test"):
            (folder / kind / part).mkdir(parents=True)
    count = round(len(paths) * (1 - SHARE))
    for index, path in enumerate(paths):
        part = "train" if index < count else "test"
        original = as_12_bits(read_image(path, 3), side)
        step = 4095 / 255
        noise = rng.uniform(-step / 2, step / 2, original.shape)
        noisy = np.clip(original + noise, 0, 4095)
        images = (
            (original / step).round().astype("uint8"),
            original,
            noisy.round().astype("uint16"),
        )
        for kind, image in zip(KINDS, images, strict=True):
            suffix = ".png" if kind == "8 bits" else ".tif"
            name = f"{path.stem}{suffix}"
            write_image(folder / kind / part / name, image)


def as_12_bits(image, side):
    height, width = (length // side for length in image.shape[:2])
    blocks = image[: height * side, : width * side].reshape(
        height, side, width, side, 3
    )
    mean = blocks.mean(axis=(1, 3)) * DIMMED
    return (mean / 255 * 4095).round().astype("uint16")


def make_masks(data, folder, side):
    (folder / "masks").mkdir()
    for path in (data / "masks_leaf").iterdir():
        mask = kp.data.read_mask(path)[side // 2 :: side, side // 2 :: side]
        write_image(folder / "masks" / path.name, mask)


def segmentation(data, folder, names, side, **options):
    model = kp.SemanticSegmentationModel(
        2, patch_size=128, overlap="auto", **options
    )
    if not (folder / "masks").exists():
        make_masks(data, folder, side)
    for part in ("train", "test"):
        masks = folder / "masks" / part
        masks.mkdir(exist_ok=True)
        for name in names[part]:
            path = folder / "masks" / f"{name}.png"
            if path.exists():
                path.rename(masks / path.name)
    train = model.load_dataset_from_directory_with_segmentation_masks(
        folder / KINDS[0] / "train",
        folder / "masks" / "train",
        batch_size=8,
        augment=True,
        seed=0,
        verbose=False,
    )
    masks = sorted((folder / "masks" / "test").iterdir())
    return model, train, masks, "mean_iou"


def counting(data, folder, names, side, **options):
    model = kp.HeatmapObjectCountingModel(
        density_map_sigma=3.0, patch_size=128, overlap="auto", **options
    )
    points = kp.read_points(data / "images", "points.csv")
    points = {
        pathlib.Path(name).stem: places / side
        for name, places in points.items()
    }
    rows = ["image,x,y"]
    for name in names["train"]:
        rows += [f"{name}.png,{x},{y}" for y, x in points[name]]
    label_file = folder / "points.csv"
    label_file.write_text("\n".join(rows))
    train = model.load_heatmap_dataset_with_csv_from_directory(
        folder / KINDS[0] / "train",
        label_file,
        batch_size=8,
        augment=True,
        seed=0,
        verbose=False,
    )
    return model, train, [points[name] for name in names["test"]], "f1"


def detection(data, folder, names, side, **options):
    model = kp.ObjectDetectionModel(
        grid_size=4,
        patch_size=128,
        overlap=64,
        anchors=((40, 40), (50, 50), (90, 90)),
        **options,
    )
    found = kp.read_boxes(data / "labels.json", data / "images")
    boxes = {
        pathlib.Path(name).stem: {**each, "boxes": each["boxes"] / side}
        for name, each in found.items()
    }
    entries = {}
    for name in names["train"]:
        corners = np.asarray(boxes[name]["boxes"], float).tolist()
        entries[name] = {
            "width": 320,
            "height": 240,
            "file_name": f"{name}.png",
            "objects": [
                {"all_points_x": [x1, x2], "all_points_y": [y1, y2]}
                for x1, y1, x2, y2 in corners
            ],
        }
    label_file = folder / "boxes.json"
    label_file.write_text(json.dumps(entries))
    train = model.load_yolo_dataset_from_directory(
        label_file,
        folder / KINDS[0] / "train",
        batch_size=16,
        seed=0,
        verbose=False,
        clip=True,
    )
    return model, train, [boxes[name] for name in names["test"]], "ap50"


TASKS = {
    "segmentation": segmentation,
    "counting": counting,
    "detection": detection,
}


def outputs_of(model, paths):
    how = {}
    if isinstance(model, kp.ObjectDetectionModel):
        how["transform"] = "patches"
    if isinstance(model, kp.HeatmapObjectCountingModel):
        how["transform"] = "heatmap"
    found = model.predict_images(paths, verbose=False, **how)
    return np.concatenate([np.ravel(each) for each in found])


def measure(task, data, folder, normalize, arguments):
    keras.utils.set_random_seed(0)
    side = SETS[task][2]
    names = {
        part: sorted(path.stem for path in (folder / KINDS[0] / part).iterdir())
        for part in ("train", "test")
    }
    model, train, truth, score = TASKS[task](
        data, folder, names, side, normalize=normalize
    )
    model.compile(keras.optimizers.Adam(1e-3))
    steps = arguments.steps
    per_epoch = min(len(train), steps)
    model.fit(
        train,
        steps_per_epoch=per_epoch,
        epochs=max(1, steps // per_epoch),
        verbose=0,
    )
    paths = {kind: sorted((folder / kind / "test").iterdir()) for kind in KINDS}
    outputs = {kind: outputs_of(model, paths[kind]) for kind in KINDS}
    for kind in KINDS:
        scores = model.evaluate_full_images(paths[kind], truth)
        apart = np.abs(outputs[kind] - outputs["12 bits"])
        spread = np.ptp(outputs["12 bits"])
        print(
            f"{task:<14}{normalize:<12}{kind:<16}{score:>10}"
            f"{scores[score]:>9.4f}{apart.mean() / spread:>12.1e}"
            f"{apart.max() / spread:>12.1e}",
            flush=True,
        )
    if arguments.out is not None:
        target = arguments.out / task / normalize
        for kind in KINDS:
            kp.inference.predict_files(
                model, paths[kind], target / kind, verbose=False
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=pathlib.Path, help="folder of pictures")
    arguments = parser.parse_args()
    print(
        f"{'task':<14}{'normalize':<12}{'images':<16}{'score':>10}{'':>9}"
        f"{'mean apart':>12}{'most apart':>12}"
    )
    for task in arguments.tasks:
        name, count, side = SETS[task]
        data = arguments.data / name
        images = [
            path
            for path in sorted((data / "images").iterdir())
            if path.suffix.lower() in (".png", ".jpg", ".jpeg")
        ]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            rng = np.random.default_rng(0)
            make_images(folder, images[:count], side, rng)
            for normalize in ("percentile", "zscore"):
                measure(task, data, folder, normalize, arguments)


if __name__ == "__main__":
    main()
