"""What people do with any Keras model works here, and does the same.

A plain model of the same net, trained on the same patches in the same way, is
what a `PatchedModel` is compared with.
"""

import importlib.util

import keras
import numpy as np
import pytest
from checks import as_numpy, dtype_policy

import keras_patching as kp

SIZE = 8
RNG = np.random.default_rng(0)
PATCHES = RNG.integers(0, 256, (8, SIZE, SIZE, 3), "uint8")
IMAGES = RNG.integers(0, 256, (2, 21, 14, 3), "uint8")
MASKS = (PATCHES[..., 0] > 127).astype("uint8")
HEATMAPS = (PATCHES[..., :1] / 2550).astype("float32")
BOXES = np.full((8, 2, 4), -1, "float32")
BOXES[:, 0] = [1, 1, 6, 5]
OBJECTS = {"boxes": BOXES, "labels": np.array([[0, -1]] * 8)}


# Rows are streamed, also those of small images.
STREAMED = {"overlap": "auto", "predict_patch_size": (4, None)}


def net(channels=2, activation="softmax"):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(momentum=0.5),
            # Torch cannot train one filter in float16 on CPUs that lack it.
            keras.layers.Conv2D(2, 3, padding="same"),
            keras.layers.Dense(channels, activation=activation),
        ],
    )


def segmenter(**options):
    model = kp.SemanticSegmentationModel(2, net(), patch_size=SIZE, **options)
    return model, MASKS


def counter():
    model = kp.HeatmapObjectCountingModel(
        net(1, "tanh"), patch_size=SIZE, density_scale=100.0, overlap="auto"
    )
    return model, HEATMAPS


def detector():
    keras.utils.set_random_seed(0)
    cells = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(6, SIZE // 2, strides=SIZE // 2),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(6),
        ]
    )
    model = kp.ObjectDetectionModel(
        cells, 2, ((4, 5),), patch_size=SIZE, overlap=2
    )
    return model, OBJECTS


TASKS = pytest.mark.parametrize("make", [segmenter, counter, detector])


def fit(model, targets, optimizer=None, compiling=None, **fitting):
    """Train a little, and return what `fit` shows."""
    model.compile(optimizer or sgd(), **(compiling or {}))
    arguments = {"epochs": 2, "batch_size": 2, "verbose": 0, **fitting}
    return model.fit(PATCHES, targets, shuffle=False, **arguments).history


def sgd(**options):
    return keras.optimizers.SGD(0.05, momentum=0.9, **options)


def assert_same_weights(*models):
    """Compare the weights of models, or lists of them."""
    one, other = (
        each if isinstance(each, list) else each.get_weights()
        for each in models
    )
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def freeze_first(model):
    layers = getattr(model, "patch_model", model).layers
    for layer in layers[:3]:
        layer.trainable = False


def add_lora(model):
    layers = getattr(model, "patch_model", model).layers
    for layer in (layers[1], layers[3], layers[4]):
        layer.enable_lora(2)


WEIGHTS = np.linspace(0, 2, 8)

# On torch Keras refuses more.
STEPS = 1 if keras.backend.backend() == "torch" else 3

# What is done to a model before, and how it is compiled and trained.
HABITS = {
    "several steps at once": {"compiling": {"steps_per_execution": STEPS}},
    "eagerly": {"compiling": {"run_eagerly": True}},
    "not by XLA": {"compiling": {"jit_compile": False}},
    "gradient accumulation": {
        "optimizer": lambda: sgd(gradient_accumulation_steps=2)
    },
    "averaged weights": {
        "optimizer": lambda: sgd(use_ema=True, ema_momentum=0.5),
        "callbacks": lambda: [
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        ],
    },
    "sample weights": {"fitting": {"sample_weight": WEIGHTS}},
    "weights of pixels": {
        "fitting": {
            "sample_weight": RNG.random((8, SIZE, SIZE)).astype("float32")
        }
    },
    "clipped gradients and a plateau": {
        "optimizer": lambda: sgd(clipnorm=0.01),
        "callbacks": lambda: [
            keras.callbacks.ReduceLROnPlateau(
                factor=0.1, patience=0, min_delta=10.0
            )
        ],
        "fitting": {"validation_split": 0.25},
    },
    "a schedule": {
        "optimizer": lambda: keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(0.01, 8)
        )
    },
    "frozen layers": {"change": freeze_first},
    "low-rank updates": {"change": add_lora},
}


@pytest.mark.parametrize("habit", HABITS)
def test_training_is_that_of_the_plain_model(habit):
    habit = {
        "change": lambda model: None,
        "optimizer": sgd,
        "compiling": {},
        "callbacks": lambda: [],
        "fitting": {},
        **HABITS[habit],
    }
    histories, models = [], []
    for model in (net(), segmenter(**STREAMED)[0]):
        keras.utils.set_random_seed(1)
        habit["change"](model)
        history = fit(
            model,
            MASKS,
            habit["optimizer"](),
            {
                "loss": kp.SegmentationLoss(2),
                "metrics": [kp.metrics.MeanIoU(2)],
                **habit["compiling"],
            },
            callbacks=habit["callbacks"](),
            **habit["fitting"],
        )
        histories.append(history)
        models.append(model)
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        assert histories[1][name] == pytest.approx(values, rel=1e-3), name
    plain, patched = models
    assert_same_weights(plain, patched)
    np.testing.assert_allclose(
        patched.predict(IMAGES, verbose=0),
        whole_of(plain),
        rtol=1e-3,
        atol=1e-4,
    )


def whole_of(plain):
    """What a plain model gives of whole images."""
    return as_numpy(plain(IMAGES.astype("float32"), training=False))


def assert_predicts_as(patched, plain):
    """Check that no way of prediction has weights or layers of before."""
    for found in (
        patched.predict(IMAGES, verbose=0),
        [*patched.predict_images([*IMAGES], verbose=False)],
    ):
        np.testing.assert_allclose(found, whole_of(plain), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "compiling"),
    [
        (counter, {"run_eagerly": True}),
        (detector, {"steps_per_execution": STEPS}),
    ],
)
def test_how_steps_are_run_changes_no_weight(make, compiling):
    models, histories = [], []
    for how in ({}, compiling):
        model, targets = make()
        histories.append(fit(model, targets, compiling=how))
        models.append(model)
        predicted = model.predict(IMAGES, verbose=0)
    for name, values in histories[0].items():
        assert histories[1][name] == pytest.approx(values, rel=1e-3), name
    assert_same_weights(*models)
    np.testing.assert_allclose(
        models[0].predict(IMAGES, verbose=0), predicted, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("make", [counter, detector])
def test_batches_are_trained_tested_and_predicted_one_by_one(make):
    model, targets = make()
    model.compile(sgd())
    logs = model.evaluate(PATCHES, targets, batch_size=8, verbose=0)
    tested = model.test_on_batch(PATCHES, targets)
    assert tested == pytest.approx(logs, rel=1e-4)
    np.testing.assert_allclose(
        model.predict_on_batch(IMAGES),
        model.predict(IMAGES, verbose=0),
        rtol=1e-4,
        atol=1e-6,
    )
    other, _ = make()
    fit(other, targets, epochs=1, batch_size=8)
    logs = model.train_on_batch(PATCHES, targets, return_dict=True)
    assert np.isfinite(logs["loss"])
    assert_same_weights(model, other)


@TASKS
def test_class_weights_are_refused_batch_by_batch_too(make):
    model, targets = make()
    model.compile(sgd())
    with pytest.raises(ValueError, match="class_weight"):
        model.train_on_batch(PATCHES, targets, class_weight={0: 1.0, 1: 2.0})


def test_a_patched_model_takes_no_class_weights_of_pixels():
    model = kp.PatchedModel(net(), patch_size=SIZE)
    model.compile(sgd(), kp.SegmentationLoss(2))
    with pytest.raises(ValueError, match="weigh classes in the loss"):
        model.fit(PATCHES, MASKS, class_weight={0: 1.0, 1: 2.0}, verbose=0)


def judge():
    """A model of one small layer, and weights that are right and wrong."""
    pixelwise = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    model = kp.SemanticSegmentationModel(2, pixelwise, patch_size=SIZE)
    model.compile(keras.optimizers.SGD(0.0))
    right = np.zeros((1, 1, 3, 2), "float32")
    right[0, 0, 0] = -9, 9
    return model, [right, np.zeros(2)], [-right, np.zeros(2)]


class Weights(keras.callbacks.Callback):
    """Trains by giving a model the weights of each epoch."""

    def __init__(self, *epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.model.set_weights(self.epochs[epoch])


def scores():
    truth = (IMAGES[..., 0] > 127).astype("uint8")
    return kp.callbacks.FullImageEvaluation(IMAGES, truth)


def test_the_best_is_kept_by_the_score_of_whole_images(tmp_path):
    model, right, wrong = judge()
    checkpoints = [
        keras.callbacks.ModelCheckpoint(
            tmp_path / name,
            "val_full_mean_iou",
            mode="max",
            save_best_only=True,
            save_weights_only="weights" in name,
        )
        for name in ("best.keras", "best.weights.h5")
    ]
    model.fit(
        PATCHES,
        MASKS,
        epochs=3,
        verbose=0,
        callbacks=[Weights(wrong, right, wrong), scores(), *checkpoints],
    )
    loaded = keras.saving.load_model(tmp_path / "best.keras")
    assert_same_weights(loaded, right)
    model.load_weights(tmp_path / "best.weights.h5")
    assert_same_weights(model, right)
    found = model.decode_predictions(model.predict(IMAGES, verbose=0))
    np.testing.assert_array_equal(found, IMAGES[..., 0] > 127)


def test_early_stopping_gives_the_best_weights_back():
    model, right, wrong = judge()
    stop = keras.callbacks.EarlyStopping(
        "val_full_mean_iou", mode="max", patience=2, restore_best_weights=True
    )
    history = model.fit(
        PATCHES,
        MASKS,
        epochs=4,
        verbose=0,
        callbacks=[Weights(right, wrong, wrong, wrong), scores(), stop],
    ).history
    assert len(history["loss"]) == 3
    found = model.decode_predictions(model.predict(IMAGES, verbose=0))
    np.testing.assert_array_equal(found, IMAGES[..., 0] > 127)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("habits")
    for index, (image, mask) in enumerate(zip(PATCHES, MASKS, strict=True)):
        for name, pixels in (("images", image), ("masks", mask)):
            (folder / name).mkdir(exist_ok=True)
            kp.data.write_image(folder / name / f"{index}.png", pixels)
    return kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images", folder / "masks", patch_size=SIZE, verbose=False
    ).manifest_path


def test_an_interrupted_training_ends_as_one_that_was_not(manifest, tmp_path):
    """Epochs, batches, augmentation and the optimizer go on as they were."""

    def train(*callbacks):
        model, _ = segmenter()
        model.compile(keras.optimizers.Adam(0.01))
        train = kp.PatchingSequence(manifest, 3, seed=0, augment=True)
        history = model.fit(
            train, epochs=4, verbose=0, callbacks=[*callbacks]
        ).history
        return model, history

    whole, shown = train()
    backup = tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        train(keras.callbacks.BackupAndRestore(backup), Interrupt())
    resumed, shown_then = train(keras.callbacks.BackupAndRestore(backup))
    assert_same_weights(whole, resumed)
    assert shown_then["loss"] == pytest.approx(shown["loss"][2:], rel=1e-3)


def test_tensorboard_says_what_it_needs(tmp_path):
    model, targets = segmenter()
    board = keras.callbacks.TensorBoard(tmp_path)
    if all(map(importlib.util.find_spec, ("tensorflow", "tensorboard"))):
        fit(model, targets, callbacks=[board])
        assert list(tmp_path.rglob("events*"))
    else:
        with pytest.raises(Exception, match=r"(?i)tensor(board|flow)"):
            fit(model, targets, callbacks=[board])
    fit(model, targets)  # The model is as good as before.


def test_averaged_weights_are_what_callbacks_see_and_keep(tmp_path):
    model, targets = segmenter(**STREAMED)
    history = fit(
        model,
        targets,
        sgd(use_ema=True, ema_momentum=0.5),
        callbacks=[
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            scores(),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
        ],
    )
    kept = keras.saving.load_model(tmp_path / "2.keras")
    assert_same_weights(kept, model)
    truth = (IMAGES[..., 0] > 127).astype("uint8")
    score = model.evaluate_full_images(IMAGES, truth)["mean_iou"]
    assert history["val_full_mean_iou"][-1] == pytest.approx(score)
    # On jax the optimizer and the model share arrays now.
    model.save(tmp_path / "model.keras")
    model.fit(PATCHES, targets, verbose=0)


@TASKS
def test_models_are_cloned_and_made_again_from_their_config(make):
    model, _ = make()
    for again in (
        keras.models.clone_model(model),
        type(model).from_config(model.get_config()),
    ):
        assert again.get_config() == model.get_config()
        assert again.patch_model is not model.patch_model
        again.set_weights(model.get_weights())
        np.testing.assert_allclose(
            as_numpy(again(IMAGES)), as_numpy(model(IMAGES)), rtol=1e-4
        )


def test_a_net_is_plotted_where_pydot_is_there():
    model, _ = segmenter()
    if importlib.util.find_spec("pydot") is None:
        with pytest.raises(ImportError, match="pip install pydot"):
            keras.utils.plot_model(model)
    else:
        dot = keras.utils.model_to_dot(model.patch_model)
        assert len(dot.get_nodes()) >= 5


@pytest.mark.filterwarnings("ignore:.*not have a `quantize` method")
def test_int8_weights_are_those_of_the_plain_model(tmp_path):
    plain, (model, _) = net(), segmenter(**STREAMED)
    assert_predicts_as(model, plain)
    for each in (plain, model):
        each.quantize("int8")
    assert_predicts_as(model, plain)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(IMAGES, verbose=0), whole_of(plain), rtol=1e-3, atol=1e-4
    )


@TASKS
def test_mixed_precision_scales_its_loss(make):
    with dtype_policy("mixed_float16"):
        model, targets = make()
    history = fit(model, targets)
    assert np.isfinite(history["loss"]).all()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_low_rank_updates_are_predicted_and_saved(tmp_path):
    model, targets = segmenter(**STREAMED)
    assert_predicts_as(model, model.patch_model)
    before = model.predict(IMAGES, verbose=0)
    add_lora(model)
    fit(model, targets)
    assert np.abs(model.predict(IMAGES, verbose=0) - before).max() > 1e-3
    assert_predicts_as(model, model.patch_model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(IMAGES, verbose=0),
        whole_of(model.patch_model),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.filterwarnings("ignore:.*not have any trainable weights")
def test_a_trained_model_is_frozen_and_thawed():
    model, targets = segmenter()
    fit(model, targets)
    before = model.get_weights()
    model.patch_model.trainable = False
    fit(model, targets)
    assert_same_weights(model, before)
    model.patch_model.trainable = True
    fit(model, targets)
    assert (before[0] != model.get_weights()[0]).any()


def test_what_callbacks_log_and_set_is_seen(tmp_path):
    model, targets = segmenter()
    callbacks = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        keras.callbacks.TerminateOnNaN(),
    ]
    history = fit(model, targets, callbacks=callbacks)
    assert history["learning_rate"] == pytest.approx([0.1, 0.05])
    assert "mean_iou" in (tmp_path / "log.csv").read_text()


@pytest.mark.parametrize(
    ("make", "name", "rises"),
    [
        (segmenter, "mean_iou", True),
        (counter, "count_mae", False),
        (detector, "box_iou", True),
    ],
)
def test_callbacks_know_which_scores_are_better(make, name, rises):
    model, targets = make()
    stop = keras.callbacks.EarlyStopping(f"val_{name}")
    model.compile(sgd())
    data = PATCHES, targets
    model.fit(*data, validation_data=data, callbacks=[stop], verbose=0)
    assert bool(stop.monitor_op(2.0, 1.0)) is rises
