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
 * @param user who runs them
 */
public record CommandDefaults(Map<String, String> environment, String directory, CommandUser user) {
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
        CommandUser user = image.map(ImageConfig::user)
                .filter(name -> !name.isEmpty())
                .<CommandUser>map(CommandUser.Named::new)
                .orElse(CommandUser.ROOT);
        return new CommandDefaults(all, directory.startsWith("/") ? directory : "/", user);
    }

    /**
     * Returns the environment of a command.
     *
     * @param own its own variables
     * @param who its user, of whose home the guest knows if it is known by name
     * @return all variables
     */
    public Map<String, String> environmentWith(Map<String, String> own, CommandUser who) {
        Map<String, String> all = new LinkedHashMap<>();
        if (who instanceof CommandUser.Numbers(int uid, int gid)) {
            all.put("HOME", uid == 0 ? "/root" : "/");
        }
        all.putAll(environment);
        all.putAll(own);
        return all;
    }
}
