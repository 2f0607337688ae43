"""Reading a clock without a call by name and a Python number, where it is the one that nearly all drivers have."""

cdef extern from *:
    """
    #if defined(__linux__)
    #include <time.h>
    /* What Python's time.monotonic() reads, and how it makes seconds of it. */
    static int wt_monotonic(double *now) {
        struct timespec at;
        if (clock_gettime(CLOCK_MONOTONIC, &at))
            return 0;
        *now = (double) ((long long) at.tv_sec * 1000000000 + at.tv_nsec) / 1e9;
        return 1;
    }
    #else
    static int wt_monotonic(double *now) { return 0; }
    #endif
    """
    bint wt_monotonic(double* now) noexcept

cdef extern from "Python.h":
    bint PyCFunction_Check(object it)


cdef inline bint is_system_clock(object clock) except -1:
    """Tell whether a clock is `time.monotonic`, and nothing that stands in its place."""
    return PyCFunction_Check(clock) and clock.__name__ == "monotonic" and clock.__module__ == "time"


cdef inline double read_clock(object clock, bint is_monotonic) except? -1.0:
    """Return the time of a clock; `is_monotonic` says that it is `time.monotonic`."""
    cdef double now
    if is_monotonic and wt_monotonic(&now):
        return now
    return clock()
