"""Stateless functions on tensors, on every backend."""
