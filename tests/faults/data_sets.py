"""Small data sets of each task and store, and what their patches must be.

The expected patches are cut by NumPy out of the arrays that the files were
written from: neither files nor caches are read for them.
"""

import dataclasses
import itertools
import json
import pathlib

import numpy as np
import PIL.Image

import keras_patching as kp

PATCH = 16
SIGMA = 16.0  # So wide that each point reaches over all of its image.
_SIZES = ((40, 56), (33, 47), (16, 16), (50, 20), (24, 64), (48, 30))
# Files of all but PNG have the same size whatever they show.
_SUFFIXES = ("png", "bmp", "npy", "tif")

STORES = {
    "segmentation, patches": ("segmentation", {}),
    "segmentation, images": ("segmentation", {"store": "images"}),
    "counting, patches": ("counting", {}),
    "counting, images": ("counting", {"store": "images"}),
    "detection, patches": ("detection", {"store": "patches"}),
    "detection, images": ("detection", {"store": "images"}),
}


@dataclasses.dataclass(frozen=True)
class Photo:
    """One image with the labels of all tasks.

    Attributes:
        image: uint8 `(height, width, 3)`.
        mask: uint8 `(height, width)` of classes 0 to 2.
        points: `(n, 2)` of `(y, x)` in pixels.
        boxes: `(n, 4)` xyxy in pixels.
    """

    image: np.ndarray
    mask: np.ndarray
    points: np.ndarray
    boxes: np.ndarray


def draw_photos(rng):
    """Draw six photos at random: a dict from file name to `Photo`."""
    suffixes = itertools.cycle(_SUFFIXES)
    return {
        f"{index}.{suffix}": _draw_photo(rng, size)
        for index, (suffix, size) in enumerate(
            zip(suffixes, _SIZES, strict=False)
        )
    }


def _draw_photo(rng, size):
    height, width = size
    corners = rng.integers(0, [width - 10, height - 10], (4, 2))
    boxes = np.hstack([corners, corners + rng.integers(3, 10, (4, 2))])
    return Photo(
        image=rng.integers(1, 256, (*size, 3), dtype="uint8"),
        mask=rng.integers(0, 3, size, dtype="uint8"),
        points=rng.integers(0, 10 * np.array(size), (5, 2)) / 10,
        # As the loader sorts them, since plans are drawn in this order.
        boxes=boxes[np.lexsort(boxes[:, [2, 3, 0, 1]].T)],
    )


class DataSet:
    """Files of photos, the loader of a task, and what it must give.

    Args:
        folder: `pathlib.Path` of a folder to write to.
        name: One of `STORES`.
        cache_dir: Folder to keep the patches below; `None` is beside them.
    """

    def __init__(self, folder, name, cache_dir=None):
        self.name = name
        self.images = pathlib.Path(folder) / "images"
        self.masks = pathlib.Path(folder) / "masks"
        self.cache_dir = cache_dir
        self._task, self._options = STORES[name]
        self.written = {}

    def write(self, photos):
        """Write the files of photos; those that are there stay untouched."""
        for folder in (self.images, self.masks):
            folder.mkdir(parents=True, exist_ok=True)
        for name, photo in photos.items():
            if self.written.get(name) is not photo:
                write_pixels(self.images / name, photo.image)
                write_pixels(self.masks / name, photo.mask)
        self.written = dict(photos)
        points = {name: photo.points for name, photo in photos.items()}
        rows = [
            ",".join([name, *map(str, each[:, ::-1].ravel())])
            for name, each in points.items()
        ]
        (self.images / "points.csv").write_text("\n".join(rows))
        boxes = {
            name: {"objects": list(map(_entry, photo.boxes.tolist()))}
            for name, photo in photos.items()
        }
        (self.images / "boxes.json").write_text(json.dumps(boxes))

    def load(self, **options):
        """Call the loader."""
        options = {"verbose": False, "cache_dir": self.cache_dir, **options}
        options |= {"seed": 0, "shuffle": False, **self._options}
        if self._task == "segmentation":
            load = kp.load_dataset_from_directory_with_segmentation_masks
            return load(
                self.images, self.masks, PATCH, num_classes=3, **options
            )
        if self._task == "counting":
            load = kp.load_heatmap_dataset_with_csv_from_directory
            options["density_map_sigma"] = SIGMA
            return load(self.images, "points.csv", PATCH, **options)
        load = kp.load_yolo_dataset_from_directory
        options |= {"grid_size": 2, "augment": False}
        return load("boxes.json", self.images, PATCH, **options)

    def expected(self, photos):
        """Give what batches must hold: arrays, patches first."""
        pairs = [(name, photos[name]) for name in sorted(photos)]
        origins = [self._origins(*pair) for pair in pairs]
        cuts = {"images": lambda photo: photo.image}
        if self._task == "segmentation":
            cuts["masks"] = lambda photo: photo.mask
        if self._task == "counting":
            cuts["heatmaps"] = _heatmap
        found = {
            key: np.concatenate(
                [
                    [_window(array(photo), origin) for origin in each]
                    for (_, photo), each in zip(pairs, origins, strict=True)
                ]
            )
            for key, array in cuts.items()
        }
        if self._task == "detection":
            found |= _expected_boxes([photo for _, photo in pairs], origins)
        return found

    def _origins(self, name, photo):
        height, width = photo.image.shape[:2]
        if self._task != "detection":
            return [
                (y, x)
                for y in range(0, height, PATCH)
                for x in range(0, width, PATCH)
            ]
        sampler = kp.YoloPatchSampler(PATCH, 2, seed=0)
        plan = sampler.plan((height, width), photo.boxes, name)
        return [patch.origin for patch in plan]


def write_pixels(path, array):
    """Write an image or mask as a file of the format of its name."""
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        PIL.Image.fromarray(array).save(path)


def read_all(sequence):
    """Give what all batches of a sequence hold: arrays, patches first."""
    batches = [sequence[index] for index in range(len(sequence))]
    found = {"images": np.concatenate([images for images, _ in batches])}
    if isinstance(batches[0][1], dict):
        for key in batches[0][1]:
            found[key] = np.concatenate([each[key] for _, each in batches])
    else:
        found["targets"] = np.concatenate([each for _, each in batches])
    return found


def count_wrong(found, expected):
    """Count the patches that are not what they must be, in any of arrays."""
    # The loaders of one kind of label give an array without a name.
    found, expected = list(found.values()), list(expected.values())
    count = len(expected[0])
    if [each.shape for each in found] != [each.shape for each in expected]:
        return max(count, len(found[0]), 1)
    wrong = np.zeros(count, bool)
    for one, other in zip(found, expected, strict=True):
        differs = ~np.isclose(one, other, rtol=1e-4, atol=1e-7)
        wrong |= differs.reshape(count, -1).any(axis=1)
    return int(wrong.sum())


def _entry(box):
    x1, y1, x2, y2 = box
    return {"all_points_x": [x1, x2], "all_points_y": [y1, y2]}


def _window(array, origin):
    y, x = origin
    inside = array[y : y + PATCH, x : x + PATCH]
    window = np.zeros((PATCH, PATCH, *array.shape[2:]), array.dtype)
    window[: inside.shape[0], : inside.shape[1]] = inside
    return window


def _heatmap(photo):
    heatmap = np.zeros(photo.mask.shape)
    for point in photo.points:
        down, across = (
            np.exp(-0.5 * ((np.arange(length) + 0.5 - place) / SIGMA) ** 2)
            for length, place in zip(heatmap.shape, point, strict=True)
        )
        heatmap += np.outer(down / down.sum(), across / across.sum())
    return heatmap


def _expected_boxes(photos, origins):
    found = []
    for photo, each in zip(photos, origins, strict=True):
        centers = (photo.boxes[:, :2] + photo.boxes[:, 2:]) / 2
        for y, x in each:
            moved = centers - (x, y)
            owned = ((moved >= 0) & (moved < PATCH)).all(axis=1)
            found.append((photo.boxes[owned] - (x, y, x, y)).clip(0, PATCH))
    most = max(1, *map(len, found))
    boxes = np.full((len(found), most, 4), -1.0)
    labels = np.full((len(found), most), -1)
    for index, each in enumerate(found):
        boxes[index, : len(each)] = each
        labels[index, : len(each)] = 0
    return {"boxes": boxes, "labels": labels}
