"""The training loop: how a model learns."""
