"""Predicts images of any size, from anywhere, through one compiled function."""
