"""What is compared, what the figures say of it, and what keeps a gate from a verdict."""
