"""Cuts boxes off at the edges of their images, where that is asked for."""

import dataclasses

import numpy as np

from keras_patching.data.labels.box_labels import XYXY
from keras_patching.data.labels.places import misplaced_boxes

# Boxes that are drawn well reach at most so many pixels beyond the edge.
_SLIP = 5
# x1 + width may be so many pixels more than the width of the image.
_ROUNDING = 1e-6


def clip_boxes(labels, headers, clip=True):
    """Cut boxes off at the edges of their images.

    What lies wholly outside, and what would lie inside if the axes were
    swapped, is left as it is: `check_boxes_inside` tells it.

    Args:
        labels: Dict from image path to `BoxLabels`.
        headers: Dict from image path to `ImageHeader`.
        clip: `False` cuts off no more than what rounding adds to a sum.

    Returns:
        Such a dict, and a list of one sentence on how many were cut, or none.
    """
    clipped, cut_by = dict(labels), []
    for image, header in headers.items():
        boxes, (height, width) = labels[image].boxes, header.size
        inside = np.clip(boxes, 0, (width, height, width, height))
        beyond = np.abs(boxes - inside).max(axis=1, initial=0)
        wrong = misplaced_boxes(boxes, header.size, may_reach_beyond=True)
        is_turned = wrong.are_swapped and beyond.max(initial=0) > _SLIP
        most = np.inf if clip and not is_turned else _ROUNDING
        is_cut = (beyond > 0) & (beyond <= most) & ~wrong.outside
        if is_cut.any():
            cut_by += beyond[is_cut & (beyond > _ROUNDING)].tolist()
            boxes = np.where(is_cut[:, None], inside, boxes)
            clipped[image] = _sorted(labels[image], boxes)
    notes = [
        f"Cut off {len(cut_by)} boxes at the edge of their image, beyond which "
        f"they reached by at most {max(cut_by, default=0):.3g} pixels."
    ]
    return clipped, notes if cut_by else []


def _sorted(label, boxes):
    """Give labels with other boxes, in their order."""
    order = np.lexsort((label.labels, *boxes[:, XYXY].T[::-1]))
    return dataclasses.replace(
        label,
        boxes=np.ascontiguousarray(boxes[order]),
        labels=label.labels[order],
        places=tuple(label.places[index] for index in order),
    )
