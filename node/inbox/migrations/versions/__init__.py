"""The migrations of the index, in their order."""
