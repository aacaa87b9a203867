package io.github.jkvm.sandbox.linux;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.sandbox.ImageConfig;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class CommandDefaultsTest {
    private static CommandDefaults of(ImageConfig image, Map<String, String> environment) {
        return CommandDefaults.of(Optional.of(image), environment);
    }

    @Test
    void takesAnImagesUserFolderAndVariables() {
        var image = new ImageConfig(Map.of("A", "image", "B", "image"), "/work", List.of(), List.of(), "app:staff");
        CommandDefaults defaults = of(image, Map.of("B", "builder"));
        assertThat(defaults.user()).isEqualTo(new CommandUser.Named("app:staff"));
        assertThat(defaults.directory()).isEqualTo("/work");
        // The guest knows the user's home.
        assertThat(defaults.environmentWith(Map.of("C", "own"), defaults.user()))
                .containsEntry("A", "image")
                .containsEntry("B", "builder")
                .containsEntry("C", "own")
                .containsKey("PATH")
                .doesNotContainKey("HOME");
    }

    @Test
    void isRootWithoutAnImageThatSaysOtherwise() {
        var image = new ImageConfig(Map.of(), "", List.of(), List.of(), "");
        for (CommandDefaults defaults : List.of(of(image, Map.of()), CommandDefaults.of(Optional.empty(), Map.of()))) {
            assertThat(defaults.user()).isEqualTo(CommandUser.ROOT);
            assertThat(defaults.directory()).isEqualTo("/");
            assertThat(defaults.environmentWith(Map.of(), defaults.user())).containsEntry("HOME", "/root");
        }
    }
}
