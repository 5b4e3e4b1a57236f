"""Float programs: a network of floats as operations on arrays, with the same bits everywhere."""
