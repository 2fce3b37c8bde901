"""What is made of the classes of pixels: masks, or objects."""

from keras_patching.models.image_transforms import ImageTransform
from keras_patching.models.segmentation.class_ids import ClassIds
from keras_patching.models.segmentation.numbered_objects import (
    MeasuredObjects,
    WrittenObjects,
)


def class_transforms(model):
    """Give the `ImageTransform` of classes, and of objects, by name.

    Args:
        model: `SemanticSegmentationModel`.
    """
    classes = ClassIds(model.num_classes, model.activation)

    def measured(source):
        _check_is_stitched(model)
        return MeasuredObjects(source, model._background, classes.check)

    def written(source, open_file):
        _check_is_stitched(model)
        return WrittenObjects(
            source, model._background, classes.check, classes.dtype, open_file
        )

    return {
        "classes": ImageTransform(
            classes,
            check=classes.check,
            name="classes",
            # The last says that a pixel is of none, see `ClassIds`.
            values=range(model.num_classes + 1),
        ),
        "instances": ImageTransform(
            classes, measured, written, name="instances"
        ),
    }


def _check_is_stitched(model):
    if model.predictor._outputs.scales != ((1, 1),):
        raise ValueError(
            'transform="instances" finds objects in whole images, and '
            f"'{model.name}' gives patches: leave out `stitch=False`."
        )
