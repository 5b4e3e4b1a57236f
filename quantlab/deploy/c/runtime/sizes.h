/* What a model needs at most; written anew for each. */
#ifndef QL_SIZES_H
#define QL_SIZES_H

/* How many rows are made of the sums of one layer. */
enum { QL_MOST_MADE = 4 };

#endif
