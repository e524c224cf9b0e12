"""Pairs of a source and a target, such as a word and how it is pronounced: a network reads one and writes the other."""
