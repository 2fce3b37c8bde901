"""Finding plants by their colour alone: what models are compared with."""

import numpy as np


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


def threshold_points(image, min_area=100):
    """Locate plants by colour: the centers of what `threshold_mask` finds.

    Args:
        image: Array `(height, width, 3)` of any range.
        min_area: Smaller components are dropped as noise, in pixels.

    Returns:
        float64 `(n, 2)`, `(y, x)` of the center of each connected component.
    """
    from scipy import ndimage

    components, kept = _threshold_components(image, min_area)
    centers = ndimage.center_of_mass(components > 0, components, kept)
    return np.array(centers, "float64").reshape(-1, 2) + 0.5


def threshold_boxes(image, min_area=100):
    """Detect plants by colour: the boxes of what `threshold_mask` finds.

    Args:
        image: Array `(height, width, 3)` of any range.
        min_area: Smaller components are dropped as noise, in pixels.

    Returns:
        float64 `(n, 4)`, `(x1, y1, x2, y2)` of each connected component.
    """
    from scipy import ndimage

    components, kept = _threshold_components(image, min_area)
    found = ndimage.find_objects(components)
    slices = [found[number - 1] for number in kept]
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in slices]
    return np.array(boxes, "float64").reshape(-1, 4)


def _threshold_components(image, min_area):
    """Give the components as numbers, and the numbers of the large ones."""
    from scipy import ndimage

    components, count = ndimage.label(threshold_mask(image))
    areas = np.bincount(components.ravel(), minlength=count + 1)[1:]
    return components, np.flatnonzero(areas >= min_area) + 1


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
