"""What an element sees of the picture: the field that the windows allow it, and the one that it uses."""
