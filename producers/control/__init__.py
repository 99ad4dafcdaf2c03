"""Pause and resume of polling through the control topic: commands, who sends them, who follows them."""
