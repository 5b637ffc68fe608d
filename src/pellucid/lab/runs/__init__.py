"""Training in processes of their own: the server starts, steers and follows them; what they leave is a run like any other."""
