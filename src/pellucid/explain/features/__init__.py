"""What layers have learned to see: their maps and filters, the pictures that excite a unit, points on a plane."""
