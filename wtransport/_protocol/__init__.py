"""The WebTransport over HTTP/3 engine, sans I/O: bytes and commands in, events and bytes out."""
