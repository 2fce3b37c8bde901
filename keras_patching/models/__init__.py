"""Models that train on patches and predict whole images."""
