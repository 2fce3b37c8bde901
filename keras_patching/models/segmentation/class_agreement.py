"""What a model knows of its classes, and what a data set tells of them."""

from keras_patching.data.labels.mask_classes import given_classes


def check_same_classes(classes, data_set, name):
    """Refuse a data set whose classes have other names or other ids.

    Args:
        classes: `MaskClasses` of the model.
        data_set: `PatchingSequence`, or a data set of the user's.
        name: Name of the model.

    Raises:
        ValueError: Tells both.
    """
    own = {"class_names": classes.names, "class_ids": classes.ids}
    for attribute, expected in own.items():
        found = getattr(data_set, attribute, None)
        if None not in (found, expected) and found != expected:
            raise ValueError(
                f"The data set has {attribute}={found}, '{name}' has "
                f"{attribute}={expected}, in this order. Load the data set "
                "with the loader of the model, or make the model for this "
                "data set. Received: "
                f"{getattr(data_set, 'manifest_path', data_set)}"
            )


def learned_classes(classes, data_set):
    """Add to the classes of a model what a data set tells of them.

    Args:
        classes: `MaskClasses` of the model, which `data_set` agrees with.
        data_set: `PatchingSequence`.

    Returns:
        `MaskClasses`.
    """
    return given_classes(
        classes.num_classes,
        classes.ignore_value,
        classes.names or data_set.class_names,
        classes.colors or data_set.class_colors,
        classes.ids or data_set.class_ids,
    )
