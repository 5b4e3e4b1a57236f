"""LeNet-5 with ReLU and max pooling."""
