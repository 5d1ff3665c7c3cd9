"""What remembers: one database file per company and one for control, a writer thread, the journal. Knows no business word."""
