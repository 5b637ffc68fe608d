"""From a graph to a program for the native executor: buffers and their layouts, chains, steps, one arena."""
