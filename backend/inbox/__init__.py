"""What people write to us: deliveries as they came, conversations and messages as they are read."""
