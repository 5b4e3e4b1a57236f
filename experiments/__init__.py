"""The experiment manager: configuration, runs, training, results. It knows no concrete problem."""
