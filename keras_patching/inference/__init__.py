"""Predictions of files and of arrays that are larger than memory."""
