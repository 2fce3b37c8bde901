"""Which patches an epoch sees, where what matters is rare."""

import numpy as np

from keras_patching._checks import check_share


class EpochSampler:
    """Draws the patches of an epoch, those with foreground more often.

    Args:
        has_foreground: Bool array of shape `(patches,)`: which patches hold a
            wanted class or object.
        foreground_fraction: Fraction of the patches of an epoch that hold
            some, from 0 to 1; they repeat where there are too few, all of them
            equally often. `None` takes each patch as often as any other.
        keep_empty: Fraction of the patches without foreground that are seen in
            an epoch, from 0 to 1. Others are seen in the next.
        num_samples: Number of patches in an epoch, if it is that of other
            patches before. Those with foreground, some repeated or left out,
            make up the number; where all or none have some, whatever the
            fraction.
        kept: Bool array of shape `(patches,)`: which may be drawn; `None` for
            all.

    Attributes:
        num_samples: Number of patches in an epoch: those with foreground, and
            `keep_empty` of the others, unless it was given.
            `foreground_fraction` does not change it.

    Raises:
        ValueError: If a fraction is out of range, or asks for patches of a
            sort that there are none of.
    """

    def __init__(
        self,
        has_foreground,
        foreground_fraction=None,
        keep_empty=1.0,
        num_samples=None,
        kept=None,
    ):
        check_sampling(foreground_fraction, None, keep_empty)
        kept = np.ones(len(has_foreground), bool) if kept is None else kept
        self._foreground = np.flatnonzero(has_foreground & kept)
        self._empty = np.flatnonzero(~has_foreground & kept)
        num_empty = round(keep_empty * len(self._empty))
        self.num_samples = num_samples or len(self._foreground) + num_empty
        if num_samples and kept.any():
            # There may be more patches than there were before.
            share = len(self._empty) / kept.sum()
            num_empty = min(num_empty, round(share * num_samples))
        if foreground_fraction is not None:
            wanted = round(foreground_fraction * self.num_samples)
            num_empty = self.num_samples - wanted
        if num_samples and not len(self._empty):
            num_empty = 0
        if num_samples and not len(self._foreground):
            num_empty = self.num_samples
        self._num_empty = num_empty
        self._num_foreground = self.num_samples - num_empty
        if not len(has_foreground):
            raise ValueError(
                "There are no patches: images without objects have none, "
                "unless `empty_patches` gives them some. Pass it, or split "
                "the images otherwise."
            )
        self._check_supply(foreground_fraction)

    def draw(self, rng, shuffle):
        """Draw the patches of an epoch.

        Args:
            rng: `numpy.random.Generator` that everything is drawn from.
            shuffle: Whether to mix them; else they keep their order.

        Returns:
            Integer array of shape `(num_samples,)`, indices of patches.
        """
        samples = np.concatenate(
            [
                _draw_evenly(self._foreground, self._num_foreground, rng),
                _draw_evenly(self._empty, self._num_empty, rng),
            ]
        )
        return rng.permutation(samples) if shuffle else np.sort(samples)

    def _check_supply(self, foreground_fraction):
        if not self.num_samples:
            raise ValueError(
                "An epoch has no patches: none holds foreground, and "
                "`keep_empty` keeps none of the others. Received: keep_empty=0"
            )
        for patches, wanted, sort in (
            (self._foreground, self._num_foreground, "with"),
            (self._empty, self._num_empty, "without"),
        ):
            if wanted and not len(patches):
                raise ValueError(
                    f"No patch {sort} foreground, but an epoch of "
                    f"{self.num_samples} patches should have {wanted}. Change "
                    "`foreground_fraction`, or `foreground_classes`. Received: "
                    f"foreground_fraction={foreground_fraction}"
                )


def check_sampling(foreground_fraction, foreground_classes, keep_empty):
    """Refuse arguments of sampling that make no sense, before any work."""
    if foreground_fraction is not None:
        check_share(foreground_fraction, "foreground_fraction")
    check_share(keep_empty, "keep_empty")
    if foreground_classes is not None and not (
        isinstance(foreground_classes, (list, tuple, set, range))
        and len(foreground_classes)
    ):
        raise ValueError(
            "`foreground_classes` must be a list of classes, such as [2]. "
            f"Received: foreground_classes={foreground_classes!r}"
        )


def _draw_evenly(patches, count, rng):
    """Draw so many, each as often as any other, but for a remainder."""
    if not count:
        return patches[:0]
    passes = (count + len(patches) - 1) // len(patches)
    drawn = [rng.permutation(patches) for _ in range(passes)]
    return np.concatenate(drawn)[:count]
