"""Pictures of plants from above, drawn with numpy, with their exact masks.

For demonstrations and tests where no photographs are at hand. The crop is
rosettes of broad leaves, some of them red or in the shade; blades of grass
and films of moss have the same green and are not crop. So colour alone, as in
`demos.thresholding`, does not separate them; shape and texture in a patch do.

`plant_field` is for segmentation; `seedling_field`, where young plants stand
close together, for counting and detection.
"""

import csv
import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_patching._printing import Progress
from keras_patching.data.images import image_io
from keras_patching.demos.drawing import plants, seedlings

_GRASS = (12, 36)  # of seedling fields: shortest and longest, in pixels


def plant_field(size=(768, 1024), seed=0):
    """Draw one field of plants from above.

    Args:
        size: `(height, width)` in pixels; plants keep their size in pixels.
        seed: Integer, or a tuple of them; each seed and size gives another
            field, and always the same one.

    Returns:
        `(image, mask)`: uint8 `(height, width, 3)`, and uint8 `(height,
        width)` that is 1 on crop and 0 elsewhere.

    Example:

    >>> image, mask = plant_field(size=(256, 256), seed=3)
    >>> image.shape, int(mask.max())
    ((256, 256, 3), 1)
    """
    size = _checked_size(size)
    rng = np.random.default_rng([*np.atleast_1d(seed), *size])
    canvas = plants.draw_soil(size, rng)
    plants.draw_moss(canvas, rng)
    plants.draw_stones(canvas, rng)
    mask = np.zeros(size, "uint8")
    tufts = rng.permutation(plants.scattered_points(size, 84, rng))
    below = len(tufts) * 5 // 6
    for center in tufts[:below]:
        plants.draw_grass(canvas, center, rng)
    for center, radius in plants.plants_in_rows(size, rng):
        plants.draw_rosette(canvas, mask, center, radius, rng)
    for center in tufts[below:]:
        plants.draw_grass(canvas, center, rng, mask)
    plants.light_and_camera(canvas, rng)
    return _as_image(canvas), mask


def _as_image(canvas):
    return np.ascontiguousarray(canvas.transpose(1, 2, 0).astype("uint8"))


def write_plant_field(
    directory: str | os.PathLike,
    num_images: int = 8,
    size: Sequence[int] = (768, 1024),
    seed: int = 0,
    verbose: bool = False,
) -> tuple[pathlib.Path, pathlib.Path]:
    """Write a data set of `plant_field` pictures.

    Args:
        directory: Folder in which `images/field_000.jpg` and
            `masks/field_000.png` and so on are written.
        num_images: Number of images.
        size: `(height, width)` of each, in pixels.
        seed: Integer; image `i` is `plant_field(size, seed=(seed, i))`.
        verbose: Whether to show a progress bar.

    Returns:
        The paths of the two folders, `(images, masks)`.

    Example:

    >>> images, masks = keras_patching.demos.write_plant_field(
    ...     "plants", num_images=2, size=(96, 128)
    ... )
    >>> sorted(path.name for path in masks.iterdir())
    ['field_000.png', 'field_001.png']
    """
    images = pathlib.Path(directory) / "images"
    masks = pathlib.Path(directory) / "masks"
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    progress = Progress(num_images, "image", verbose)
    for index in range(num_images):
        image, mask = plant_field(size, seed=(seed, index))
        image_io.write_image(images / f"field_{index:03d}.jpg", image)
        image_io.write_image(masks / f"field_{index:03d}.png", mask)
        progress.add(1)
    return images, masks


def seedling_field(size=(768, 1024), seed=0, zoom=1):
    """Draw one field of seedlings from above, to count or to detect.

    A plant belongs to the image its center is in; leaves that reach in from
    outside are seen and not labelled.

    Args:
        size: `(height, width)` in pixels; plants keep their size of 9 to 22
            pixels in radius, and there are 60 to 200 on 768 x 1024.
        seed: Integer, or a tuple of them; each seed and size gives another
            field, and always the same one.
        zoom: How close the camera is: plants and what lies between them are
            so many times as large, and as much farther apart.

    Returns:
        `(image, points, boxes)`: uint8 `(height, width, 3)`; float64 `(n, 2)`,
        the center `(y, x)` of each plant; and float64 `(n, 4)`, the box `(x1,
        y1, x2, y2)` of the same plant's leaves, also of those that others
        hide, from 0 to the width or height.

    Example:

    >>> image, points, boxes = seedling_field(size=(256, 256), seed=3)
    >>> image.shape, len(points) == len(boxes)
    ((256, 256, 3), True)
    """
    size = _checked_size(size)
    rng = np.random.default_rng([*np.atleast_1d(seed), *size])
    canvas = plants.draw_soil(size, rng)
    plants.draw_moss(canvas, rng)
    plants.draw_stones(canvas, rng)
    tufts = plants.scattered_points(size, 115 * zoom, rng)
    below = len(tufts) * 5 // 6
    lengths = tuple(zoom * length for length in _GRASS)
    for center in tufts[:below]:
        plants.draw_grass(canvas, center, rng, lengths=lengths)
    for center in plants.scattered_points(size, 200 * zoom, rng):
        seedlings.draw_fallen_leaf(canvas, center, rng, zoom)
    points, boxes = _draw_seedlings(canvas, rng, zoom)
    for center in tufts[below:]:
        plants.draw_grass(canvas, center, rng, lengths=lengths)
    plants.light_and_camera(canvas, rng)
    return _as_image(canvas), points, boxes


def _draw_seedlings(canvas, rng, zoom):
    """Draw all; label those whose center is inside and that can be seen."""
    size = canvas.shape[1:]
    numbers = np.zeros(size, "uint16")
    points, boxes = [], []
    sown = seedlings.seedlings_in_rows(size, rng, zoom)
    for number, (center, radius) in enumerate(sown, start=1):
        seedlings.draw_seedling(
            canvas, numbers, center, radius, rng, number, zoom
        )
        drawn = numbers == number
        # What is drawn around 0 is drawn around the center of the first pixel.
        point = [at + 0.5 for at in center]
        inside = all(0 <= at < end for at, end in zip(point, size, strict=True))
        if inside and drawn.any():
            points.append(point)
            boxes.append(_box(drawn))
    points = np.array(points, "float64").reshape(-1, 2)
    return points, np.array(boxes, "float64").reshape(-1, 4)


def _box(drawn):
    """The box `(x1, y1, x2, y2)` around what is true in a mask."""
    rows, columns = (np.flatnonzero(drawn.any(axis)) for axis in (1, 0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def write_seedling_field(
    directory: str | os.PathLike,
    num_images: int = 8,
    size: Sequence[int] = (768, 1024),
    seed: int = 0,
    verbose: bool = False,
    zoom: int = 1,
) -> pathlib.Path:
    """Write a data set of `seedling_field` pictures, their points and boxes.

    Args:
        directory: Folder in which `images/seedlings_000.jpg` and so on are
            written; `images/points.csv` of rows `name,x1,y1,x2,y2,...`; and
            `labels.json` of boxes, as the YOLO loader reads it.
        num_images: Number of images.
        size: `(height, width)` of each, in pixels.
        seed: Integer; image `i` is `seedling_field(size, (seed, i), zoom)`.
        verbose: Whether to show a progress bar.
        zoom: How close the camera is, see `seedling_field`.

    Returns:
        The path of the folder of images.

    Example:

    >>> images = keras_patching.demos.write_seedling_field(
    ...     "seedlings", num_images=1, size=(96, 128)
    ... )
    >>> sorted(path.name for path in images.iterdir())
    ['points.csv', 'seedlings_000.jpg']
    """
    images = pathlib.Path(directory) / "images"
    images.mkdir(parents=True, exist_ok=True)
    progress = Progress(num_images, "image", verbose)
    rows, entries = [], {}
    for index in range(num_images):
        name = f"seedlings_{index:03d}"
        image, points, boxes = seedling_field(size, (seed, index), zoom)
        image_io.write_image(images / f"{name}.jpg", image)
        # Rounded down, since up may be out of the image.
        rounded = np.floor(points[:, ::-1] * 10) / 10
        rows.append([name, *rounded.ravel().tolist()])
        entries[name] = {"objects": [_entry(box) for box in boxes.tolist()]}
        progress.add(1)
    with open(images / "points.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    labels = pathlib.Path(directory) / "labels.json"
    labels.write_text(json.dumps(entries))
    return images


def _entry(box):
    x1, y1, x2, y2 = box
    return {"all_points_x": [x1, x2], "all_points_y": [y1, y2]}


def _checked_size(size):
    height, width = size
    if min(height, width) < 2:
        raise ValueError(
            "size must be (height, width) in pixels, each at least 2. "
            f"Received: size={size}"
        )
    return int(height), int(width)
