"""Early exits: networks whose easy samples leave after the first layers."""
