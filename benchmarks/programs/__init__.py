"""One program for each way to train; every one times an epoch of FashionMNIST and prints a line of JSON."""
