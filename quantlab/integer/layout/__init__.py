"""How the tensors of a program lie in memory: as elements, channels last, or as planes of bits."""
