"""A network that is ready to be asked: its scores, the values of its layers, gradients, predictions."""
