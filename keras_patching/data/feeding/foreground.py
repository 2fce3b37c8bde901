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
        wanted = wanted_classes(pixels.shape[1], classes, ignore_value)
        return pixels[:, wanted].any(axis=1)
    if classes is not None:
        raise ValueError(
            "`foreground_classes` are those of masks, and these labels have "
            f"none. Received: foreground_classes={classes}"
        )
    objects = facts_of(sources, "objects")
    if objects is not None:
        return objects >= HAS_OBJECTS
    return np.ones(sum(len(source.origins) for source in sources), bool)


def wanted_classes(num_classes, classes=None, ignore_value=None):
    """Give the wanted classes of masks, a list.

    Args:
        num_classes: Number of classes.
        classes, ignore_value: As for `has_foreground`.

    Raises:
        ValueError: If there are no such classes.
    """
    if classes is None:
        classes = set(range(1, num_classes)) - {ignore_value}
    if not set(classes) <= set(range(num_classes)):
        raise ValueError(
            "`foreground_classes` must be classes of the masks, 0 to "
            f"{num_classes - 1}. Received: foreground_classes={classes}"
        )
    return list(classes)
