package io.github.jkvm.sandbox.process;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Plays the kernel's part with plain files; that the kernel takes them is for a host with such groups to show. */
class ControlGroupTest {
    @TempDir
    Path root;

    private Path self;
    private Path groups;

    @BeforeEach
    void makeFiles() throws IOException {
        self = Files.createDirectory(root.resolve("self"));
        groups = Files.createDirectories(root.resolve("groups/user/program"))
                .getParent()
                .getParent();
        Files.writeString(self.resolve("mounts"), "proc /proc proc rw 0 0\ncgroup2 " + groups + " cgroup2 rw 0 0\n");
        Files.writeString(self.resolve("cgroup"), "8:pids:/\n0::/user/program\n");
    }

    @Test
    void setsTheLimitsOfAGroupOfItsOwn() throws IOException {
        ControlGroup group = ControlGroup.create(self, 1000, 20).orElseThrow();
        List<String> prefix = group.prefix();
        Path folder = Path.of(prefix.getLast()).getParent();
        assertThat(folder.getParent()).isEqualTo(groups.resolve("user/program"));
        assertThat(folder.resolve("memory.max")).hasContent("1000");
        assertThat(folder.resolve("pids.max")).hasContent("20");
        assertThat(folder.resolve("../cgroup.subtree_control")).hasContent("+memory +pids");
    }

    @Test
    void goesBesideTheProcessesGroupIfItMayNotGoBelow() throws IOException {
        Files.createDirectory(groups.resolve("user/program/cgroup.subtree_control"));
        ControlGroup group = ControlGroup.create(self, 1000, 20).orElseThrow();
        assertThat(Path.of(group.prefix().getLast()).getParent().getParent()).isEqualTo(groups.resolve("user"));
        try (var left = Files.list(groups.resolve("user/program"))) {
            assertThat(left).hasSize(1);
        }
    }

    @Test
    void tellsOfAProcessThatTheKernelKilled() throws IOException {
        ControlGroup group = ControlGroup.create(self, 1000, 20).orElseThrow();
        Path events = Path.of(group.prefix().getLast()).resolveSibling("memory.events");
        assertThat(group.ranOutOfMemory()).isFalse();
        Files.writeString(events, "low 0\noom 3\noom_kill 0\n");
        assertThat(group.ranOutOfMemory()).isFalse();
        Files.writeString(events, "low 0\noom 3\noom_kill 1\n");
        assertThat(group.ranOutOfMemory()).isTrue();
    }

    @Test
    void isNoneWhereThereIsNoVersion2() throws IOException {
        Files.writeString(self.resolve("mounts"), "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n");
        assertThat(ControlGroup.create(self, 1000, 20)).isEmpty();
    }
}
