"""Finding functions of a library that the process may have loaded, at run time: nothing of it is needed to build."""

cdef extern from *:
    """
    #ifdef _WIN32
    #include <windows.h>
    static void *crypto_open(const char *name, int only_loaded) { return (void *) GetModuleHandleA(name); }
    static void *crypto_symbol(void *library, const char *name)
    { return (void *) GetProcAddress((HMODULE) library, name); }
    #else
    #include <dlfcn.h>
    #ifndef RTLD_NOLOAD
    #define RTLD_NOLOAD 0
    #endif
    static void *crypto_open(const char *name, int only_loaded)
    { return dlopen(*name ? name : NULL, RTLD_NOW | RTLD_LOCAL | (only_loaded && *name ? RTLD_NOLOAD : 0)); }
    static void *crypto_symbol(void *library, const char *name) { return dlsym(library, name); }
    #endif
    """
    void* crypto_open(const char* name, int only_loaded) nogil
    void* crypto_symbol(void* library, const char* name) nogil
