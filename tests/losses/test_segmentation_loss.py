"""The loss agrees with a numpy reference, whatever the patch model ends in."""

import numpy as np
import pytest
from checks import check_loss

from keras_patching import SegmentationLoss


def draw(classes, shape=(2, 5, 6)):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(*shape, classes)).astype("float32")
    masks = rng.integers(0, classes, shape).astype("uint8")
    return masks, logits


def softmax(logits):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def reference(masks, probabilities, weights, labelled, dice_weight):
    classes = probabilities.shape[-1]
    pixels = np.flatnonzero(labelled)
    truth = masks.ravel()[pixels]
    predicted = probabilities.reshape(-1, classes)[pixels]
    weight = np.asarray(weights)[truth]
    picked = predicted[np.arange(len(truth)), truth]
    cross_entropy = -(weight * np.log(picked)).sum() / weight.sum()
    dice = []
    for index in range(classes):
        is_class = truth == index
        if is_class.any():
            shared = predicted[is_class, index].sum()
            dice.append(
                1 - 2 * shared / (is_class.sum() + predicted[:, index].sum())
            )
    return cross_entropy + dice_weight * np.mean(dice)


def test_it_is_a_loss_as_all_others_of_keras(tmp_path):
    options = {
        "num_classes": 3,
        "activation": "linear",
        "ignore_value": 255,
        "class_weights": [1.0, 2.0, 3.0],
        "dice_weight": 0.5,
        "name": "other",
    }
    check_loss(SegmentationLoss, options, *draw(3), tmp_path)


@pytest.mark.parametrize("dice_weight", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 5.0)])
@pytest.mark.parametrize("activation", ["softmax", "linear"])
def test_several_classes(activation, weights, dice_weight):
    masks, logits = draw(3)
    loss = SegmentationLoss(
        3, activation, class_weights=weights, dice_weight=dice_weight
    )
    given = logits if activation == "linear" else softmax(logits)
    expected = reference(
        masks, softmax(logits), weights or (1, 1, 1), masks >= 0, dice_weight
    )
    np.testing.assert_allclose(loss(masks, given), expected, rtol=1e-4)


@pytest.mark.parametrize("activation", ["sigmoid", "linear"])
def test_one_channel_stands_for_two_classes(activation):
    masks, logits = draw(2)
    logits = logits[..., :1]
    positive = 1 / (1 + np.exp(-logits))
    both = np.concatenate([1 - positive, positive], axis=-1)
    given = logits if activation == "linear" else positive
    loss = SegmentationLoss(2, activation)(masks, given)
    expected = reference(masks, both, (1, 1), masks >= 0, 1.0)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_unlabelled_pixels_do_not_count():
    masks, logits = draw(3)
    unlabelled = np.random.default_rng(1).random(masks.shape) < 0.3
    masks[unlabelled] = 255
    loss = SegmentationLoss(3, "linear", ignore_value=255)
    expected = reference(
        np.where(unlabelled, 0, masks),
        softmax(logits),
        (1, 1, 1),
        ~unlabelled,
        1.0,
    )
    np.testing.assert_allclose(loss(masks, logits), expected, rtol=1e-4)
    changed = np.where(unlabelled[..., None], -logits, logits)
    np.testing.assert_allclose(
        loss(masks, changed), loss(masks, logits), rtol=1e-6
    )


@pytest.mark.parametrize("ignore_value", [None, 255])
def test_pixels_of_weight_0_are_as_if_they_were_not_there(ignore_value):
    masks, logits = draw(3)
    if ignore_value is not None:
        masks[:, 1, 1:3] = ignore_value
    loss = SegmentationLoss(
        3, "linear", ignore_value, class_weights=(1.0, 2.0, 5.0)
    )
    padding = ((0, 0), (0, 3), (0, 4))
    weights = np.pad(np.ones(masks.shape, "float32"), padding)
    padded = np.pad(masks, padding, constant_values=1)
    predicted = np.pad(logits, (*padding, (0, 0)), constant_values=3.0)
    expected = float(loss(masks, logits))
    for each in (padded, padded[..., None]):
        found = float(loss(each, predicted, weights))
        assert found == pytest.approx(expected, rel=1e-5)
    assert float(loss(masks, logits, np.zeros(masks.shape))) == 0


def test_images_of_weight_0_are_as_if_they_were_not_there():
    """Also in the Dice loss, which is that of the batch."""
    masks, logits = draw(3)
    loss = SegmentationLoss(3, "linear")
    weights = np.zeros(len(masks), "float32")
    weights[0] = 2
    expected = float(loss(masks[:1], logits[:1], weights[:1]))
    for each in (weights, np.broadcast_to(weights[:, None, None], masks.shape)):
        found = float(loss(masks, logits, each))
        assert found == pytest.approx(expected, rel=1e-5)


def test_weights_multiply_the_loss_of_a_pixel():
    masks, logits = draw(3)
    twice = np.full(masks.shape, 2.0, "float32")
    loss = SegmentationLoss(3, "linear", dice_weight=0.0)
    expected = 2 * float(loss(masks, logits))
    assert float(loss(masks, logits, twice)) == pytest.approx(expected)


def test_a_batch_without_any_label_has_no_loss():
    masks, logits = draw(3)
    loss = SegmentationLoss(3, "linear", ignore_value=255)
    assert float(loss(np.full_like(masks, 255), logits)) == 0


def test_a_rare_class_weighs_as_much_as_any_other_in_dice():
    masks = np.zeros((1, 10, 10), "uint8")
    masks[0, 0, 0] = 1
    missed = np.zeros((1, 10, 10, 2), "float32")
    missed[..., 0] = 1.0
    loss = SegmentationLoss(2)
    plain = SegmentationLoss(2, dice_weight=0.0)
    assert float(loss(masks, missed) - plain(masks, missed)) > 0.45


def test_weights_are_one_for_each_class():
    with pytest.raises(ValueError, match="one weight for each of 3 classes"):
        SegmentationLoss(3, class_weights=(1, 2))
