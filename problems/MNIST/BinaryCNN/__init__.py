"""A small convolutional network whose layers can all be binary."""
