"""What a UDP packet costs between a connection and the kernel."""
