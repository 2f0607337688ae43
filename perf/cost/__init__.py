"""What one operation costs: instructions, processor time and allocations."""
