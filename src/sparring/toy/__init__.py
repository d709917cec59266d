"""Worlds on a line and in a plane, where a fight can be watched and measured exactly."""
