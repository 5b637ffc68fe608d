"""The views of a network: as a whole, its layers and maps, one number."""
