"""Whole networks looked at: two side by side, the time that each layer takes, the loss around the weights."""
