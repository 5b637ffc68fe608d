"""R-CNN: regions are cut out and scaled to one size, a network describes each, and a linear classifier for each class scores it."""
