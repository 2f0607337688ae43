"""The QUIC data path in compiled code: what happens for every packet, frame and acknowledgement.

There is no pure twin here: without these modules aioquic and the rest of `_quic` do the same work.
"""
