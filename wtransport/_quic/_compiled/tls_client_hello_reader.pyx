# cython: language_level=3, binding=False, embedsignature=True, embedsignature.format=clinic
"""ClientHellos as they arrive (RFC 8446, 4.1.2), those that begin a new session."""

from __future__ import annotations

from .tls_wire cimport (
    ALPN, EARLY_DATA, HEADER_SIZE, KEY_SHARE, PRE_SHARED_KEY, PSK_KEY_EXCHANGE_MODES, RANDOM_SIZE, SERVER_NAME,
    SIGNATURE_ALGORITHMS, SUPPORTED_GROUPS, SUPPORTED_VERSIONS, TLS_1_2, X25519, Cursor, has_number, is_ascii,
    is_at_end, over, read_number, read_part, read_vector, read_whole_vector, text,
)


cdef bint _is_list(Cursor* extension, int length_size, int size, Cursor* items) noexcept:
    """Read an extension that is a list of numbers, the first of its kind."""
    return (
        items.at == NULL and read_whole_vector(extension, length_size, items) and (items.end - items.at) % size == 0
    )


cdef bint _is_host_name(Cursor extension) noexcept:
    cdef Cursor names, name
    cdef Py_ssize_t kind = 0
    return (
        read_whole_vector(&extension, 2, &names) and read_number(&names, 1, &kind) and kind == 0
        and read_whole_vector(&names, 2, &name) and is_ascii(&name)
    )


cdef bint read_hello(bytes message, Hello* hello, list others) except -1:
    """Read a ClientHello (RFC 8446, 4.1.2) of a new session; False when it is anything else."""
    cdef Cursor whole = over(message), extensions, value
    cdef Py_ssize_t version = 0, kind = 0
    cdef bint is_good
    hello.algorithms.at = hello.versions.at = hello.modes.at = hello.shares.at = hello.protocols.at = NULL
    cdef Cursor groups
    groups.at = NULL
    whole.at += HEADER_SIZE
    if not (
        read_number(&whole, 2, &version) and version == TLS_1_2
        and read_part(&whole, RANDOM_SIZE, &hello.random)
        and read_vector(&whole, 1, &hello.session_id)
        and read_vector(&whole, 2, &hello.suites) and (hello.suites.end - hello.suites.at) % 2 == 0
        and read_vector(&whole, 1, &hello.compressions)
        and read_whole_vector(&whole, 2, &extensions)
    ):
        return False
    while not is_at_end(&extensions):
        if not read_number(&extensions, 2, &kind) or not read_vector(&extensions, 2, &value):
            return False
        is_good = True
        if kind == SUPPORTED_VERSIONS:
            is_good = _is_list(&value, 1, 2, &hello.versions)
        elif kind == SIGNATURE_ALGORITHMS:
            is_good = _is_list(&value, 2, 2, &hello.algorithms)
        elif kind == SUPPORTED_GROUPS:
            is_good = _is_list(&value, 2, 2, &groups)
        elif kind == PSK_KEY_EXCHANGE_MODES:
            is_good = _is_list(&value, 1, 1, &hello.modes)
        elif kind == KEY_SHARE:
            is_good = _is_list(&value, 2, 1, &hello.shares)
        elif kind == ALPN:
            is_good = _is_list(&value, 2, 1, &hello.protocols)
        elif kind == SERVER_NAME:
            is_good = _is_host_name(value)
        elif kind == PRE_SHARED_KEY or kind == EARLY_DATA:
            is_good = False
        else:
            others.append((kind, text(&value)))
        if not is_good:
            return False
    return hello.algorithms.at != NULL and hello.versions.at != NULL and hello.shares.at != NULL


cdef object chosen(ours, Cursor theirs, int size):
    """Return the first of ours that is among theirs, or None."""
    for each in ours:
        if has_number(theirs, size, each):
            return each
    return None


cdef bytes share_of(Cursor shares, list groups):
    """Return the first key share of a group that is supported; None when it is of another than X25519, or malformed."""
    cdef Cursor key
    cdef Py_ssize_t group = 0
    cdef bytes found = None
    cdef bint is_found = False
    while not is_at_end(&shares):
        if not read_number(&shares, 2, &group) or not read_vector(&shares, 2, &key):
            return None
        if not is_found and group in groups:
            is_found = True
            if group == X25519:
                found = text(&key)
    return found


cdef bint protocols_of(Cursor names, list found) except -1:
    """Collect the names of protocols; False when the list is malformed."""
    cdef Cursor name
    while not is_at_end(&names):
        if not read_vector(&names, 1, &name):
            return False
        found.append(text(&name))
    return True
