"""What carries committed facts to whoever may see them. Everything here is a cache of the journal: it may die, lie or lag."""
