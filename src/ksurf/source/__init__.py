"""The source browser: trees of source, what their names and units say, joined with what kernels became of
them."""
