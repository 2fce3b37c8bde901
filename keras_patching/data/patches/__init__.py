"""Patches of one image: where they lie, how they are cut and augmented."""
