"""What makes the figures in the README: `python -m bench`. Nothing imports it; it uses the product as its callers do."""
