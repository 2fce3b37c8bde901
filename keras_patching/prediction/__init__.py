"""Predicts images of any size, from wherever they lie, through one
compiled function.
"""
