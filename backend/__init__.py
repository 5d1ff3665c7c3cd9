"""The hub without its screens. `ARCHITECTURE.md` says where every line lives; imports go down only."""
