"""Where one number of a network comes from: its sum, term by term, and the ways from it back to the picture."""
