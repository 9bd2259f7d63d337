"""What can be done with a trained model: predict, look at it, take it away."""
