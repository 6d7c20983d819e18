"""The identified zone: files as they were received, and the index of what was decided of them."""
