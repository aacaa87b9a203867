package io.github.jkvm.sandbox;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How a container image wants its program to be run (OCI image-spec 1.1, config.md).
 *
 * @param environment the variables, in the image's order
 * @param workingDirectory where the program begins; empty if the image does not say
 * @param entrypoint the first words of the command line; may be empty
 * @param command the words that follow unless others are given; may be empty
 * @param user who runs the program: {@code user}, {@code uid}, {@code user:group} or {@code uid:gid}; empty if the image does not say
 */
public record ImageConfig(
        Map<String, String> environment,
        String workingDirectory,
        List<String> entrypoint,
        List<String> command,
        String user) {
    /** Copies the lists and the map. */
    public ImageConfig {
        environment = Collections.unmodifiableMap(new LinkedHashMap<>(environment));
        entrypoint = List.copyOf(entrypoint);
        command = List.copyOf(command);
    }
}
