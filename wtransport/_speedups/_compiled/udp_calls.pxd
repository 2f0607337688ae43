# cython: language_level=3
"""The system calls for datagrams, on Linux; elsewhere there are none, and `WT_HAS_CALLS` is false."""

cdef extern from *:
    """
    #define WT_NAME_SIZE 28  /* of a struct sockaddr_in6 */
    #define WT_BUFFER_SIZE 65536
    #define WT_SLOTS 32  /* datagrams of one call that receives several */
    #define WT_SLOT_SIZE (WT_BUFFER_SIZE + 2112)  /* so that the beginnings of slots do not share their place in a cache */
    #define WT_MOST_SENT 64  /* packets of one call that sends several */
    typedef struct { Py_ssize_t size; int name_size; unsigned char name[WT_NAME_SIZE]; } wt_received;
    static unsigned char wt_buffer[WT_SLOTS * WT_SLOT_SIZE];  /* in use until no Python code can have run */
    #if defined(__linux__)
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <string.h>
    #include <sys/socket.h>
    static const int WT_HAS_CALLS = 1;

    static Py_ssize_t wt_receive(int fd, unsigned char *out, unsigned char *name, int *name_size, int *segment) {
        union { char room[64]; struct cmsghdr align; } control;
        struct iovec piece = { out, WT_BUFFER_SIZE };
        struct msghdr message;
        struct cmsghdr *each;
        Py_ssize_t size;
        memset(&message, 0, sizeof message);
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_name = name;
        message.msg_namelen = name ? WT_NAME_SIZE : 0;
        message.msg_control = segment ? control.room : NULL;
        message.msg_controllen = segment ? sizeof control.room : 0;
        size = recvmsg(fd, &message, MSG_DONTWAIT);
        if (size < 0)
            return size;
        *name_size = (int) message.msg_namelen;
        if (segment) {
            *segment = 0;
            for (each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
                if (each->cmsg_level == 17 && each->cmsg_type == 104)  /* SOL_UDP, UDP_GRO */
                    memcpy(segment, CMSG_DATA(each), sizeof *segment);
        }
        return size;
    }

    static Py_ssize_t wt_send(int fd, const char *data, Py_ssize_t size, const char *name, int name_size) {
        return sendto(fd, data, size, MSG_DONTWAIT, (const struct sockaddr *) name, name_size);
    }

    /* Receive what waits, into the slots of the buffer; the number of datagrams, or -1. */
    static int wt_receive_many(int fd, int is_connected, wt_received *received) {
        struct mmsghdr messages[WT_SLOTS];
        struct iovec pieces[WT_SLOTS];
        int i, count;
        memset(messages, 0, sizeof messages);
        for (i = 0; i < WT_SLOTS; i++) {
            pieces[i].iov_base = wt_buffer + i * WT_SLOT_SIZE;
            pieces[i].iov_len = WT_BUFFER_SIZE;
            messages[i].msg_hdr.msg_iov = &pieces[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            messages[i].msg_hdr.msg_name = is_connected ? NULL : received[i].name;
            messages[i].msg_hdr.msg_namelen = is_connected ? 0 : WT_NAME_SIZE;
        }
        count = recvmmsg(fd, messages, WT_SLOTS, MSG_DONTWAIT, NULL);
        for (i = 0; i < count; i++) {
            received[i].size = messages[i].msg_len;
            received[i].name_size = (int) messages[i].msg_hdr.msg_namelen;
        }
        return count;
    }

    /* Send packets to one address; the number of those that went, or -1 when the first did not. */
    static int wt_send_many(int fd, struct iovec *pieces, int count, const char *name, int name_size) {
        struct mmsghdr messages[WT_MOST_SENT];
        int i;
        memset(messages, 0, count * sizeof messages[0]);
        for (i = 0; i < count; i++) {
            messages[i].msg_hdr.msg_iov = &pieces[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            messages[i].msg_hdr.msg_name = (char *) name;
            messages[i].msg_hdr.msg_namelen = name_size;
        }
        return sendmmsg(fd, messages, count, MSG_DONTWAIT);
    }

    /* The number of elements in Python's address, 2 or 4, or 0 where only Python knows. */
    static int wt_address(const unsigned char *name, char *host, int *port, unsigned *flow, unsigned *scope) {
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        memcpy(&v4, name, sizeof v4);
        if (v4.sin_family == AF_INET) {
            *port = ntohs(v4.sin_port);
            return inet_ntop(AF_INET, &v4.sin_addr, host, INET6_ADDRSTRLEN) ? 2 : 0;
        }
        memcpy(&v6, name, sizeof v6);
        *port = ntohs(v6.sin6_port);
        *flow = ntohl(v6.sin6_flowinfo);
        *scope = v6.sin6_scope_id;
        return v6.sin6_family == AF_INET6 && inet_ntop(AF_INET6, &v6.sin6_addr, host, INET6_ADDRSTRLEN) ? 4 : 0;
    }
    #else
    static const int WT_HAS_CALLS = 0;
    struct iovec { void *iov_base; size_t iov_len; };
    static Py_ssize_t wt_receive(int fd, unsigned char *out, unsigned char *name, int *name_size, int *segment)
    { return -1; }
    static Py_ssize_t wt_send(int fd, const char *data, Py_ssize_t size, const char *name, int name_size)
    { return -1; }
    static int wt_receive_many(int fd, int is_connected, wt_received *received)
    { return -1; }
    static int wt_send_many(int fd, struct iovec *pieces, int count, const char *name, int name_size)
    { return -1; }
    static int wt_address(const unsigned char *name, char *host, int *port, unsigned *flow, unsigned *scope)
    { return 0; }
    #endif
    """
    enum:
        WT_NAME_SIZE
        WT_SLOTS
        WT_SLOT_SIZE
        WT_MOST_SENT

    ctypedef struct wt_received:
        Py_ssize_t size
        int name_size
        unsigned char* name

    struct iovec:
        void* iov_base
        size_t iov_len

    const int WT_HAS_CALLS
    unsigned char* wt_buffer
    Py_ssize_t wt_receive(int fd, unsigned char* out, unsigned char* name, int* name_size, int* segment) noexcept
    Py_ssize_t wt_send(int fd, const char* data, Py_ssize_t size, const char* name, int name_size) noexcept
    int wt_receive_many(int fd, int is_connected, wt_received* received) noexcept
    int wt_send_many(int fd, iovec* pieces, int count, const char* name, int name_size) noexcept
    int wt_address(const unsigned char* name, char* host, int* port, unsigned* flow, unsigned* scope) noexcept
