"""Leads: what can be done to them (`actions`), asked of them (`queries`), and one file per rule."""
