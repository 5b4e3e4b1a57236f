"""Photos of any size in 1,000 classes, named by their WordNet ids."""
