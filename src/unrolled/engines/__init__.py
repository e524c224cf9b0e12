"""What runs a recurrence over whole sequences, forward and backward."""
