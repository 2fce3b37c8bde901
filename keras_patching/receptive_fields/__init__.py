"""How far a model looks, layer by layer, and the overlap that follows.

The rule of a new kind of layer goes into `rules`, that of an operation into
`pixel_rules`, `channel_rules` or `neighbour_rules`. `nets` makes one list of
all calls in a model, and has layers without a rule opened by `opening`; `walk`
goes along the list by the rules, and `automatic_overlap` makes a tiling of what
it finds.
"""
