"""QUIC transports behind one narrow port: the interface, and the implementation on aioquic."""
