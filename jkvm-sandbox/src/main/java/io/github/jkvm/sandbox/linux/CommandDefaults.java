package io.github.jkvm.sandbox.linux;

import io.github.jkvm.sandbox.ImageConfig;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What commands have unless they say otherwise.
 *
 * @param environment variables
 * @param directory where commands begin
 */
public record CommandDefaults(Map<String, String> environment, String directory) {
    private static final String PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    /** Copies the map. */
    public CommandDefaults {
        environment = Map.copyOf(environment);
    }

    /**
     * Returns what a container image wishes, and what the sandbox's builder does.
     *
     * @param image the image's wishes, if the root is one
     * @param environment variables that come before the image's
     * @return the defaults
     */
    public static CommandDefaults of(Optional<ImageConfig> image, Map<String, String> environment) {
        Map<String, String> all = new LinkedHashMap<>();
        all.put("PATH", PATH);
        image.ifPresent(config -> all.putAll(config.environment()));
        all.putAll(environment);
        String directory = image.map(ImageConfig::workingDirectory).orElse("");
        return new CommandDefaults(all, directory.startsWith("/") ? directory : "/");
    }

    /**
     * Returns the environment of a command.
     *
     * @param own its own variables
     * @param uid its user
     * @return all variables
     */
    public Map<String, String> environmentWith(Map<String, String> own, int uid) {
        Map<String, String> all = new LinkedHashMap<>();
        all.put("HOME", uid == 0 ? "/root" : "/");
        all.putAll(environment);
        all.putAll(own);
        return all;
    }
}
