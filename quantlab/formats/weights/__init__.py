"""How a layer's integer weights are stored: one encoding a file, `table.py` names them."""
