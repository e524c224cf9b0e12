"""Diagnosis of a network: how far gradients reach, whether they explode, which units are stuck, what it remembers."""
