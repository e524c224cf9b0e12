"""Trained networks in other forms, which run without this library."""
