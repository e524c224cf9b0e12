"""Runs: what a training is made from, its folder with checkpoints and log, and the trained model in it."""
