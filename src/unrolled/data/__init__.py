"""What is learned from: text, music, recordings, tables. One file per kind of data: how its bytes become sequences of
numbers, what is to be predicted, and what predictions look like."""
