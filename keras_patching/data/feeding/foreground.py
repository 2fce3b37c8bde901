"""Which patches hold what matters: a wanted class, or an object."""

import numpy as np

from keras_patching.data.cache.records import facts_of

# A patch has objects from half a one on: what a Gaussian beyond its seam leaves
# in it is none.
HAS_OBJECTS = 0.5


def has_foreground(sources, classes=None, ignore_value=None):
    """Tell of each patch whether it holds a wanted class, or an object.

    Args:
        sources: List of the `Source` of a manifest.
        classes: The wanted classes of masks; `None` is all but class 0.
        ignore_value: Value of unlabelled pixels, which is no wanted class.

    Returns:
        Bool array `(patches,)`; all true where labels tell neither.

    Raises:
        ValueError: If there are no such classes.
    """
    pixels = facts_of(sources, "pixels")
    if pixels is not None:
        return _holds_classes(pixels, classes, ignore_value)
    if classes is not None:
        raise ValueError(
            "`foreground_classes` are those of masks, and these labels have "
            f"none. Received: foreground_classes={classes}"
        )
    objects = facts_of(sources, "objects")
    if objects is not None:
        return objects >= HAS_OBJECTS
    return np.ones(sum(len(source.origins) for source in sources), bool)


def _holds_classes(pixels, classes, ignore_value):
    if classes is None:
        classes = set(range(1, pixels.shape[1])) - {ignore_value}
    if not set(classes) <= set(range(pixels.shape[1])):
        raise ValueError(
            "`foreground_classes` must be classes of the masks, 0 to "
            f"{pixels.shape[1] - 1}. Received: foreground_classes={classes}"
        )
    return pixels[:, list(classes)].any(axis=1)
