"""The training: one step, the epochs, what decides when to stop."""
