"""Ways to talk: one file per channel, each a translator of one provider's words into the units of `contract.py`.

A channel never imports a context: it translates and is done.
"""
