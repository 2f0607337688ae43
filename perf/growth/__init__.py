"""How cost grows with the number of streams and connections and with the size of messages."""
