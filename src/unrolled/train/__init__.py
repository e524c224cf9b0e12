"""Losses over sequences, and the training loop."""
