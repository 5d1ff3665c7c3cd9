"""What happens by itself: reactions to facts and ticks of the clock. `triggers.py` lists them, `worker.py` runs them."""
