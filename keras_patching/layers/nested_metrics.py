"""Metrics of a layer, without those that models inside were compiled with."""

import keras

from keras_patching._keras_internals import inner_layers, own_metrics


def metrics_outside_models(layer, metrics):
    """Leave out the metrics of models inside of a layer, and repetitions.

    A model in another one is trained by that one: Keras leaves out what it
    was compiled with, its trackers of a loss above all. But layers list the
    metrics of all that is in them, and so bring these back: a second "loss"
    that nobody updates.

    Args:
        layer: Layer or model.
        metrics: Metrics that Keras lists for it.

    Returns:
        Those of them that are of `layer` or of a layer inside, each once.
    """
    models = [
        inner for inner in inner_layers(layer) if isinstance(inner, keras.Model)
    ]
    seen = {id(metric) for model in models for metric in own_metrics(model)}
    kept = []
    for metric in metrics:
        if id(metric) not in seen:
            seen.add(id(metric))
            kept.append(metric)
    return kept
