"""Trained networks compressed to budgets of bytes, beside SparseComp's rule with equal epochs."""
