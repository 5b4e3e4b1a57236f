"""Steps that are recorded once and repeated with one call."""
