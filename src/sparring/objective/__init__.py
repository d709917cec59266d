"""An objective: named terms, what they see of an update, and their use in any training loop."""
