"""How far a model looks, layer by layer, and the overlap that follows."""
