"""Calls of the event loop that name a context, with no dictionary for it."""

from cpython.object cimport PyObject

cdef extern from "Python.h":
    object PyObject_Vectorcall(object callable, PyObject** arguments, size_t nargs, object names)


cdef inline object call_with(object method, object first, object names, object value):
    """Call `method(first, name=value)`; the name is the only element of `names`."""
    cdef PyObject* arguments[2]
    arguments[0] = <PyObject*> first
    arguments[1] = <PyObject*> value
    return PyObject_Vectorcall(method, arguments, 1, names)


cdef inline object call_later_with(object method, object delay, object callback, object names, object value):
    """Call `method(delay, callback, name=value)`."""
    cdef PyObject* arguments[3]
    arguments[0] = <PyObject*> delay
    arguments[1] = <PyObject*> callback
    arguments[2] = <PyObject*> value
    return PyObject_Vectorcall(method, arguments, 2, names)
