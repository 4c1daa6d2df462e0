"""Networks that turn images into the numbers that measures compare."""
