"""Circuits as torch modules."""
