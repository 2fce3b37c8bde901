"""What a segmenter may be compiled with."""

import keras

from keras_patching.losses.segmentation_loss import SegmentationLoss


def takes_class_ids(loss):
    """Tell whether masks are class ids: a loss of the user's may take others.

    Before `compile` nothing else is known of them.
    """
    if loss is None or isinstance(loss, SegmentationLoss):
        return True
    name = loss if isinstance(loss, str) else getattr(loss, "name", "")
    return str(name).startswith("sparse_")


def check_metric(metric, num_classes, activation, ignore_value):
    """Refuse a metric of Keras that counts unlabelled pixels.

    Args:
        metric: As `compile` takes one; not `None`.
        num_classes, activation, ignore_value: As of the model.
    """
    found = metric
    if isinstance(metric, str):
        found = keras.metrics.get(metric)
    is_of_keras = found.__module__.split(".")[0] == "keras"
    ignored = getattr(found, "ignore_class", None)
    if is_of_keras and ignored != ignore_value:
        name = getattr(found, "name", getattr(found, "__name__", metric))
        raise ValueError(
            f"The metric '{name}' would count the pixels of ignore_value="
            f'{ignore_value}. Use "accuracy", or of '
            "`keras_patching.metrics` `MeanIoU(num_classes="
            f"{num_classes}, activation={activation!r}, "
            f"ignore_value={ignore_value})` or `DiceScore` with the "
            f"same. Received: {metric!r}"
        )
