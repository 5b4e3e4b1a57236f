"""Models in C that survive power failures: work in tiles that can be done again."""
