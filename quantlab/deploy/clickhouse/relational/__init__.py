"""Programs as queries over relations: the readable specification of what is computed.

A tensor is a table, an element a row: (sample, element, value), the elements counted in the
tensor's own order. An operation is one query from tables to a table. Layers of weights -1, 0 and 1
whose inputs are few bits have a row for each neuron and word, and count bits; others have a row for
each weight. All aggregates are commutative, so neither the order of rows nor the number of threads
nor the size of blocks matters.
"""
