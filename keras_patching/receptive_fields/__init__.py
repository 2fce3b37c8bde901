"""How far a model looks, layer by layer, and the overlap that follows.

The rule of a new kind of layer goes into `rules`; `walk` goes through a model
by them, and `automatic_overlap` makes a tiling of what it finds.
"""
