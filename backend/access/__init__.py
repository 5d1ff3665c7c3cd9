"""Who is asking, what they may do, how far they can see."""
