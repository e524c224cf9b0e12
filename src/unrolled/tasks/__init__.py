"""What a data set and a measure mean: so far, text, one character at a time."""
