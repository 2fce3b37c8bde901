"""Pictures of plants from above, drawn with numpy, with their exact masks.

For demonstrations and tests where no photographs are at hand. The crop is
rosettes of broad leaves, some of them red or in the shade; blades of grass
and films of moss have the same green and are not crop. So colour alone
does not separate them, while shape and texture in a patch do.
"""

import pathlib

import keras
import numpy as np

from keras_patching.data import image_io, plant_drawing


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
        >>> image.shape, mask.max()
        ((256, 256, 3), 1)
    """
    size = _checked_size(size)
    rng = np.random.default_rng([*np.atleast_1d(seed), *size])
    canvas = plant_drawing.draw_soil(size, rng)
    plant_drawing.draw_moss(canvas, rng)
    plant_drawing.draw_stones(canvas, rng)
    mask = np.zeros(size, "uint8")
    tufts = rng.permutation(plant_drawing.scattered_points(size, 84, rng))
    below = len(tufts) * 5 // 6
    for center in tufts[:below]:
        plant_drawing.draw_grass(canvas, center, rng)
    for center, radius in plant_drawing.plants_in_rows(size, rng):
        plant_drawing.draw_rosette(canvas, mask, center, radius, rng)
    for center in tufts[below:]:
        plant_drawing.draw_grass(canvas, center, rng, mask)
    plant_drawing.light_and_camera(canvas, rng)
    image = np.ascontiguousarray(canvas.transpose(1, 2, 0).astype("uint8"))
    return image, mask


def write_plant_field(
    directory, num_images=8, size=(768, 1024), seed=0, verbose=False
):
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
    """
    images = pathlib.Path(directory) / "images"
    masks = pathlib.Path(directory) / "masks"
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    progress = keras.utils.Progbar(
        num_images, verbose=int(verbose), unit_name="image"
    )
    for index in range(num_images):
        image, mask = plant_field(size, seed=(seed, index))
        image_io.write_image(images / f"field_{index:03d}.jpg", image)
        image_io.write_image(masks / f"field_{index:03d}.png", mask)
        progress.add(1)
    return images, masks


def _checked_size(size):
    height, width = size
    if min(height, width) < 2:
        raise ValueError(
            "size must be (height, width) in pixels, each at least 2. "
            f"Received: size={size}"
        )
    return int(height), int(width)


def threshold_mask(image):
    """Segment plants by colour: excess green, thresholded by Otsu's method.

    Excess green is `2g - r - b` of the colour's shares `r + g + b = 1`
    (Woebbecke et al., 1995, "Color indices for weed identification under
    various soil, residue, and lighting conditions", Transactions of the ASAE
    38(1)); the threshold is that of Otsu, 1979, "A threshold selection method
    from gray-level histograms", IEEE Transactions on Systems, Man, and
    Cybernetics 9(1).

    Args:
        image: Array `(height, width, 3)` of any range.

    Returns:
        uint8 `(height, width)`, 1 where the image is greener than the
        threshold.
    """
    image = np.asarray(image, "float32")
    shares = image / np.maximum(image.sum(axis=-1, keepdims=True), 1e-6)
    greenness = 3 * shares[..., 1] - 1
    return (greenness > otsu_threshold(greenness)).astype("uint8")


def otsu_threshold(values, bins=256):
    """Find the threshold that best splits values into two classes."""
    counts, edges = np.histogram(values, bins)
    centers = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centers)
    mean_below = sums[:-1] / np.maximum(below, 1)
    mean_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (mean_below - mean_above) ** 2
    return edges[1:-1][np.argmax(between)]
