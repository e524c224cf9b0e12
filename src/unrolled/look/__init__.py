"""The explorer: a network and a sequence as one page with the circuit, its unfolding, every value and gradient."""
