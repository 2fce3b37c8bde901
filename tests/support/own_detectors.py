"""A detector as other libraries make them: with its decoding and its loss."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tests")
class BrightestPixel(keras.Model):
    """Finds the brightest pixel, as a box of 4 pixels that begins there.

    Its loss is how far the mean of the real boxes, in its own format, is from
    one number that it learns.
    """

    def __init__(self, bounding_box_format="yxyx", num_classes=1, **kwargs):
        inputs = keras.Input((None, None, 1))
        number = keras.layers.Dense(1, use_bias=True, name="number")
        outputs = {
            "brightness": keras.layers.Identity(name="brightness")(inputs),
            "number": number(0 * inputs[:, :1, 0]),
        }
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.bounding_box_format = bounding_box_format
        self.num_classes = num_classes

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        mask = ops.cast(y["mask"], "float32")
        total = ops.sum(ops.mean(y["boxes"], axis=-1) * mask)
        mean = total / ops.sum(mask) * ops.ones_like(y_pred["number"])
        return super().compute_loss(x, {"number": mean}, _number(y_pred))

    def decode_predictions(self, outputs, images):
        height, width = ops.shape(images)[1:3]
        brightness = ops.reshape(outputs["brightness"], (-1, height * width))
        place = ops.argmax(brightness, axis=1)
        x = ops.cast(place % width, "float32")
        y = ops.cast(place // width, "float32")
        boxes = keras.utils.bounding_boxes.convert_format(
            ops.stack([x, y, x + 4, y + 4], axis=-1)[:, None],
            source="xyxy",
            target=self.bounding_box_format,
            height=height,
            width=width,
        )
        scores = ops.max(brightness, axis=1, keepdims=True) / 255
        labels = ops.zeros_like(scores, "int32")
        return {"boxes": boxes, "confidence": scores, "labels": labels}

    def get_config(self):
        return {
            "bounding_box_format": self.bounding_box_format,
            "num_classes": self.num_classes,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _number(y_pred):
    return {"number": y_pred["number"]}
