"""What the commands of `cairn-rewards` do. Each returns what to print and the exit status."""
