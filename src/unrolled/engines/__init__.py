"""Engines: they run a recurrence over whole sequences, forward and backward."""
