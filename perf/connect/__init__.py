"""What a connection costs from dial to close."""
