"""Models of KerasHub, keras.applications and kyolo run as patch models."""

import keras
import numpy as np
import pytest
from networks import fill

import keras_patching as kp

PATCH = 64
BOXES = np.array([[[4, 4, 36, 30], [-1] * 4]] * 2, "float32")
TARGETS = {"boxes": BOXES, "labels": np.array([[0, -1]] * 2)}


@pytest.fixture(scope="module")
def hub():
    # It asks for tensorflow-text, and does without: `pip install --no-deps`.
    return pytest.importorskip("keras_hub")


def draw(shape=(100, 90), count=1):
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (count, *shape, 3)).astype("uint8")


def residual_net(hub, levels):
    """A net that reduces images to 1/4, 1/8 and so on: P2, P3..."""
    return hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, *[8] * (levels - 1)],
        stackwise_num_blocks=[1] * levels,
        stackwise_num_strides=[1, *[2] * (levels - 1)],
        block_type="basic_block",
    )


def retinanet(hub, box_format="yxyx", scale=1 / 255):
    converter = hub.layers.RetinaNetImageConverter(
        image_size=(800, 800), scale=[scale] * 3, offset=[-0.5, 0.0, 0.5]
    )
    preprocessor = hub.models.RetinaNetObjectDetectorPreprocessor(converter)
    return hub.models.RetinaNetObjectDetector(
        hub.models.RetinaNetBackbone(
            residual_net(hub, 3), min_level=3, max_level=4, use_p5=False
        ),
        num_classes=1,
        bounding_box_format=box_format,
        pre_logits_num_conv_layers=1,
        preprocessor=preprocessor,
    )


@pytest.fixture(scope="module")
def detector(hub):
    return retinanet(hub)


def test_a_retinanet_is_tiled_and_sees_images_as_it_was_trained(detector):
    image = draw((80, 100))
    model = kp.ObjectDetectionModel(detector, overlap=48)
    model.set_patch_size(64, 96)
    for weight in detector.box_head.weights:
        weight.assign(0 * weight.value)  # All boxes are the anchors.
    raw = model.predict(image, verbose=0)
    patch = image[:, :64, :96] / np.float32(255) + [-0.5, 0, 0.5]
    for name, output in detector(patch.astype("float32")).items():
        np.testing.assert_allclose(
            raw[name][:, 0, 0],
            keras.ops.convert_to_numpy(output),
            rtol=1e-3,
            atol=1e-4,
        )
    # KerasHub's decoder would keep those with scores from 0.5 on.
    ((found, *_),) = model.decode_predictions(raw, 0, image_size=(80, 100))
    x, y = (found["boxes"][:, :2] + found["boxes"][:, 2:]).T / 2
    assert y.max() < 64 < x.max() < 96


def test_a_retinanet_trains_on_patches_and_is_saved(detector, tmp_path):
    model = kp.ObjectDetectionModel(detector, patch_size=PATCH)
    model.compile(keras.optimizers.Adam(1e-3))
    assert set(model.loss) == {"bbox_regression", "cls_logits"}
    patches = draw((PATCH, PATCH), count=2)
    loss = model.fit(patches, TARGETS, verbose=0, epochs=3).history["loss"]
    assert loss[-1] < loss[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 3
    for name, output in model.predict(patches, verbose=0).items():
        again = loaded.predict(patches, verbose=0)[name]
        np.testing.assert_allclose(again, output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("box_format", ["rel_xyxy", "rel_yxyx"])
def test_formats_that_kerashub_itself_cannot_decode_are_refused(
    hub, box_format
):
    detector = retinanet(hub, box_format)
    with pytest.raises(ValueError, match='bounding_box_format="xyxy"'):
        kp.ObjectDetectionModel(detector, patch_size=PATCH)


@pytest.mark.slow
def test_a_d_fine_is_tiled_and_saved_and_not_trained(hub, tmp_path):
    detector = d_fine(hub)
    model = kp.ObjectDetectionModel(detector, patch_size=PATCH, overlap=32)
    image = draw()
    raw = model.predict(image, verbose=0)
    (found,) = model.merge_predictions(raw, image.shape[1:3], 0.01)
    assert len(found["boxes"])
    with pytest.raises(ValueError, match="D-FINE takes as many objects"):
        model.compile("adam")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.predict(image, verbose=0)
    np.testing.assert_allclose(again["logits"], raw["logits"], atol=1e-4)
    other = d_fine(hub, "xyxy")
    with pytest.raises(ValueError, match="decodes to yxyx"):
        kp.ObjectDetectionModel(other, patch_size=PATCH)


def d_fine(hub, box_format="yxyx"):
    encoder = hub.models.HGNetV2Backbone(
        stem_channels=[3, 8, 8],
        stackwise_stage_filters=[
            [8, 8, 16, 1, 1, 3],
            [16, 8, 16, 1, 1, 3],
            [16, 8, 32, 1, 1, 3],
            [32, 8, 32, 1, 1, 3],
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 16, 32, 32],
        embedding_size=8,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=(PATCH, PATCH, 3),
        out_features=["stage3", "stage4"],
    )
    backbone = hub.models.DFineBackbone(
        backbone=encoder,
        decoder_in_channels=[16, 16],
        encoder_hidden_dim=16,
        num_denoising=0,
        num_labels=1,
        hidden_dim=16,
        learn_initial_query=False,
        num_queries=10,
        anchor_image_size=(PATCH, PATCH),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[32, 32],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=16,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        decoder_n_points=[2, 2],
        lqe_hidden_dim=8,
        num_lqe_layers=1,
        out_features=["stage3", "stage4"],
        image_shape=(PATCH, PATCH, 3),
    )
    return hub.models.DFineObjectDetector(
        backbone, num_classes=1, bounding_box_format=box_format
    )


def deeplab(hub):
    converter = hub.layers.DeepLabV3ImageConverter(scale=1 / 255)
    return hub.models.DeepLabV3ImageSegmenter(
        hub.models.DeepLabV3Backbone(
            image_encoder=residual_net(hub, 3),
            spatial_pyramid_pooling_key="P4",
            low_level_feature_key="P2",
            upsampling_size=4,
            dilation_rates=[2],
            projection_filters=4,
        ),
        num_classes=2,
        activation="softmax",
        preprocessor=hub.models.DeepLabV3ImageSegmenterPreprocessor(converter),
    )


def test_a_deeplab_is_tiled_and_sees_images_as_it_was_trained(hub):
    image, segmenter = draw(), deeplab(hub)
    with pytest.raises(ValueError, match=r"looks at the whole image"):
        kp.SemanticSegmentationModel(
            2, segmenter, overlap="auto", patch_size=64
        )
    model = kp.SemanticSegmentationModel(
        2, segmenter, overlap=32, multiple_of=16, patch_size=PATCH
    )
    assert model.activation == "softmax"
    probabilities = model.predict(image, verbose=0)
    assert probabilities.shape == (1, 100, 90, 2)
    patch = image[:, :PATCH, :PATCH] / np.float32(255)
    alone = segmenter(patch, training=False)
    np.testing.assert_allclose(
        probabilities[:, :32, :32],
        keras.ops.convert_to_numpy(alone)[:, :32, :32],
        atol=1e-4,
    )


def test_images_that_a_preprocessor_does_not_scale_are_refused(hub):
    with pytest.raises(ValueError, match=r"scales images of 0 to 255"):
        kp.SemanticSegmentationModel(2, deeplab(hub), value_range=(0, 1))


def test_a_kerashub_encoder_with_a_small_decoder_has_no_seams(hub):
    encoder = residual_net(hub, 2)
    x = encoder.pyramid_outputs["P3"]
    x = keras.layers.UpSampling2D(8)(x)
    outputs = keras.layers.Conv2D(2, 1, activation="softmax")(x)
    net = fill(keras.Model(encoder.inputs, outputs))
    model = kp.SemanticSegmentationModel(
        2, net, overlap="auto", value_range=(0, 1), patch_size=PATCH
    )
    image = draw((150, 90)) / np.float32(255)
    assert kp.verify_tiling(model, image).largest_difference < 1e-5


def three_levels():
    """What a YOLO gives for 1 class: 16 bins of each side, and a logit."""
    x = inputs = keras.Input((PATCH, PATCH, 3))
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.AveragePooling2D(4)(x)
    levels = []
    for _ in range(3):
        x = keras.layers.Conv2D(8, 3, 2, "same", activation="relu")(x)
        levels.append(keras.layers.Conv2D(4 * 16 + 1, 1)(x))
    return keras.Model(inputs, levels)


@pytest.mark.filterwarnings("ignore:.*layer 'yolo_")  # Have no `build`.
def test_a_detector_of_kyolo_is_tiled_trained_and_saved(tmp_path):
    kyolo = pytest.importorskip("kyolo")
    model = kp.ObjectDetectionModel(
        kyolo.YOLODetector(three_levels(), nc=1, reg_max=16),
        prediction_decoder=kyolo.YOLOPostprocessor(
            nc=1, conf_threshold=0.01, max_detections=20
        ),
        overlap=32,
        patch_size=PATCH,
    )
    model.compile(keras.optimizers.Adam(1e-2))
    patches = draw((PATCH, PATCH), count=2)
    loss = model.fit(patches, TARGETS, verbose=0, epochs=4).history["loss"]
    assert loss[-1] < loss[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    image = draw()
    for each in (model, loaded):
        raw = each.predict(image, verbose=0)
        (found,) = each.merge_predictions(raw, image.shape[1:3], 0.01)
        assert len(found["boxes"])
    assert int(loaded.optimizer.iterations) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolov8n", "yolo11n"])
def test_a_net_of_kyolo_is_tiled(name):
    kyolo = pytest.importorskip("kyolo")
    body = getattr(kyolo, name)(nc=1, input_shape=(PATCH, PATCH, 3))
    model = kp.ObjectDetectionModel(
        keras.Sequential(
            [
                keras.Input((PATCH, PATCH, 3)),
                keras.layers.Rescaling(1 / 255),
                body,
            ]
        ),
        prediction_decoder=kyolo.YOLOPostprocessor(
            nc=1, reg_max=body.reg_max, conf_threshold=0.001
        ),
        overlap=32,
        patch_size=PATCH,
    )
    raw = model.predict(draw(), verbose=0)
    (found,) = model.merge_predictions(raw, (100, 90), 0.001)
    assert len(found["boxes"])
