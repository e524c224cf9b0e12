"""A network as ONNX: its graph, operation by operation, with the state in and out by name."""
