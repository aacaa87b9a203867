package io.github.jkvm.it.linux;

/**
 * How a command in a guest ended.
 *
 * @param command the command
 * @param status its exit status, 0 to 255
 * @param output what it wrote to its standard output and error, in the order of writing
 */
public record CommandResult(String command, int status, String output) {}
