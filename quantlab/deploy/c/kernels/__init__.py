"""How C stores a layer's weights and multiplies them: one kernel a file, `table.py` names them."""
