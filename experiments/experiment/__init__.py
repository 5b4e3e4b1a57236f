"""An experiment as a whole: root configuration, parts together, folds, record."""
