"""The explorer: a page that shows a network while it reads a sequence, with every value and gradient."""
