"""Objects of a Python class with slots, made and read without a call for each slot."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

cdef extern from "structmember.h":
    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    int T_OBJECT_EX

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        pass
    ctypedef struct PyMemberDescrObject:
        PyMemberDef* d_member
    PyTypeObject PyMemberDescr_Type
    object PyType_GenericAlloc(PyTypeObject* cls, Py_ssize_t nitems)
    bint Py_IS_TYPE(object it, PyTypeObject* cls)


cdef inline Py_ssize_t slot_offset(type cls, str name) except -1:
    """Return where an object of the class has a slot; 0 when the name is not a slot's."""
    cdef object descriptor = getattr(cls, name, None)
    cdef PyMemberDef* member
    if not Py_IS_TYPE(descriptor, &PyMemberDescr_Type) or not issubclass(cls, descriptor.__objclass__):
        return 0
    member = (<PyMemberDescrObject*> <PyObject*> descriptor).d_member
    return member.offset if member.type == T_OBJECT_EX else 0


cdef inline object slot_value(object it, Py_ssize_t offset, str name):
    """Return what an object has in a slot; it is asked by name where that is empty, or `offset` is 0."""
    cdef PyObject* value = (<PyObject**> (<char*> <PyObject*> it + offset))[0] if offset else NULL
    return getattr(it, name) if value is NULL else <object> value


cdef struct EventSlots:
    Py_ssize_t type
    Py_ssize_t timestamp
    Py_ssize_t data
    Py_ssize_t source
    bint are_all


cdef inline int learn_slots(EventSlots* slots, type cls) except -1:
    """Find out where an event of the class has what every event has."""
    slots.type = slot_offset(cls, "type")
    slots.timestamp = slot_offset(cls, "timestamp")
    slots.data = slot_offset(cls, "data")
    slots.source = slot_offset(cls, "source")
    slots.are_all = slots.type and slots.timestamp and slots.data and slots.source
    return 0


cdef inline void fill_slot(object it, Py_ssize_t offset, object value) noexcept:
    """Fill a slot that is empty."""
    Py_INCREF(value)
    (<PyObject**> (<char*> <PyObject*> it + offset))[0] = <PyObject*> value


cdef inline object new_event(EventSlots* slots, type cls, object event_type, object timestamp, object data, object source):
    """Return an event, made without a call of its constructor."""
    cdef object event = PyType_GenericAlloc(<PyTypeObject*> cls, 0)
    if slots.are_all:
        fill_slot(event, slots.type, event_type)
        fill_slot(event, slots.timestamp, timestamp)
        fill_slot(event, slots.data, data)
        fill_slot(event, slots.source, source)
    else:
        event.type, event.timestamp, event.data, event.source = event_type, timestamp, data, source
    return event
