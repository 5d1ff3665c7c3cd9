"""HTTP for machines: one file per noun. Translates and asks; what may be done is decided in the actions and queries."""
