"""A trained model on a stream: input of any length is read piece by piece in constant memory, and results are written
as they are computed. A stopped stream can be resumed."""
