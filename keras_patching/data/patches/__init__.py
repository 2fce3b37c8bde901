"""Patches of one image: where they lie, how they are cut and augmented.

`tiling` cuts an image all over; for detection `yolo_patch_sampler` plans and
`planned_patches` cuts.
"""
