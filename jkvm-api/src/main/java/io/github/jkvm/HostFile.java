package io.github.jkvm;

/**
 * An open file of the host, as a backend holds it. Only code that knows the backend can do something with it, such as hand it to another
 * process.
 */
public interface HostFile {}
