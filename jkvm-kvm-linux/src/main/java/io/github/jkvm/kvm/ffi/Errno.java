package io.github.jkvm.kvm.ffi;

/** The numbers in which Linux tells why a call failed, and their names (Linux, include/uapi/asm-generic/errno-base.h and errno.h). */
public final class Errno {
    /** {@code EPERM}. */
    public static final int EPERM = 1;

    /** {@code ENOENT}. */
    public static final int ENOENT = 2;

    /** {@code EINTR}. */
    public static final int EINTR = 4;

    /** {@code EIO}. */
    public static final int EIO = 5;

    /** {@code ENXIO}. */
    public static final int ENXIO = 6;

    /** {@code E2BIG}. */
    public static final int E2BIG = 7;

    /** {@code EBADF}. */
    public static final int EBADF = 9;

    /** {@code EAGAIN}. */
    public static final int EAGAIN = 11;

    /** {@code ENOMEM}. */
    public static final int ENOMEM = 12;

    /** {@code EACCES}. */
    public static final int EACCES = 13;

    /** {@code EFAULT}. */
    public static final int EFAULT = 14;

    /** {@code EBUSY}. */
    public static final int EBUSY = 16;

    /** {@code EEXIST}. */
    public static final int EEXIST = 17;

    /** {@code EXDEV}. */
    public static final int EXDEV = 18;

    /** {@code ENODEV}. */
    public static final int ENODEV = 19;

    /** {@code ENOTDIR}. */
    public static final int ENOTDIR = 20;

    /** {@code EISDIR}. */
    public static final int EISDIR = 21;

    /** {@code EINVAL}. */
    public static final int EINVAL = 22;

    /** {@code ENFILE}. */
    public static final int ENFILE = 23;

    /** {@code EMFILE}. */
    public static final int EMFILE = 24;

    /** {@code ENOTTY}. */
    public static final int ENOTTY = 25;

    /** {@code ETXTBSY}. */
    public static final int ETXTBSY = 26;

    /** {@code EFBIG}. */
    public static final int EFBIG = 27;

    /** {@code ENOSPC}. */
    public static final int ENOSPC = 28;

    /** {@code EROFS}. */
    public static final int EROFS = 30;

    /** {@code ERANGE}. */
    public static final int ERANGE = 34;

    /** {@code ENAMETOOLONG}. */
    public static final int ENAMETOOLONG = 36;

    /** {@code ENOSYS}. */
    public static final int ENOSYS = 38;

    /** {@code ENOTEMPTY}. */
    public static final int ENOTEMPTY = 39;

    /** {@code ELOOP}. */
    public static final int ELOOP = 40;

    /** {@code ENODATA}. */
    public static final int ENODATA = 61;

    /** {@code EPROTO}. */
    public static final int EPROTO = 71;

    /** {@code EBADFD}. */
    public static final int EBADFD = 77;

    /** {@code EOPNOTSUPP}. */
    public static final int EOPNOTSUPP = 95;

    /** {@code ECONNREFUSED}. */
    public static final int ECONNREFUSED = 111;

    /** {@code EINPROGRESS}. */
    public static final int EINPROGRESS = 115;

    /** {@code ESTALE}. */
    public static final int ESTALE = 116;

    /** {@code EHWPOISON}. */
    public static final int EHWPOISON = 133;

    /** From 1 on; a dash is a number that is not in use. */
    private static final String[] NAMES = """
            EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
            ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG
            ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY
            ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT EBADE EBADR
            EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE
            ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG
            ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ
            EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT
            EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET
            ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH
            EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM
            EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE
            ERFKILL EHWPOISON
            """.split("\\s+");

    private Errno() {}

    /**
     * Returns the name of a number.
     *
     * @param errno the number, positive
     * @return a name such as {@code EINTR}, or {@code errno 999} for a number without one
     */
    public static String name(int errno) {
        boolean named = errno > 0 && errno <= NAMES.length && !NAMES[errno - 1].equals("-");
        return named ? NAMES[errno - 1] : "errno " + errno;
    }
}
