"""What about this machine will spoil a measurement: looked at, and measured, before it is taken."""
