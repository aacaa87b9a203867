package io.github.jkvm.testkit.linux;

/**
 * Where something is in a guest.
 *
 * @param folder its folder, absolute
 * @param name its name in there
 */
record GuestPath(String folder, String name) {
    /**
     * Takes a path apart.
     *
     * @throws IllegalArgumentException if it is not absolute, or its last part is no name
     */
    static GuestPath of(String path) {
        String plain = path.replaceFirst("/+$", "");
        int slash = plain.lastIndexOf('/');
        String name = plain.substring(slash + 1);
        if (!path.startsWith("/")
                || name.isEmpty()
                || name.equals(".")
                || name.equals("..")
                || path.indexOf('\0') >= 0) {
            throw new IllegalArgumentException(
                    "'" + path + "' names no file in the guest; give an absolute path that ends in a name");
        }
        return new GuestPath(slash == 0 ? "/" : plain.substring(0, slash), name);
    }

    String quotedFolder() {
        return GuestCommand.quoted(folder);
    }

    /** A name that begins with a dash is no option this way. */
    String quotedName() {
        return GuestCommand.quoted("./" + name);
    }
}
