# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""Capsules; the specification is the twin in ``_pure/capsules.py``."""

from __future__ import annotations

from .arguments cimport as_varint
from .records cimport RecordParser, encode_record

from .._inputs import copy_droppable


def encode_capsule(capsule_type, value):
    """Return one whole capsule."""
    return encode_record(as_varint("capsule_type", capsule_type), value)


cdef class CapsuleParser(RecordParser):
    """CapsuleParser(max_sizes, droppable=())\n--\n\nReads the capsules of one CONNECT stream, however its bytes are cut."""

    def __cinit__(self, max_sizes, droppable=()):
        self.noun = "capsule"
        self.droppable = copy_droppable(droppable, self._limits)
        self.as_pairs = True

    def feed(self, data):
        """Take the next bytes of the stream and return what they complete, as ``(type, value)``."""
        return self.read(data)
