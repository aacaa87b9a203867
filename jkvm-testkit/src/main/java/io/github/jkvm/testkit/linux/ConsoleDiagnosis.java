package io.github.jkvm.testkit.linux;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a kernel's last messages mean for the one who wrote the test. */
final class ConsoleDiagnosis {
    private static final String MORE_MEMORY = "give it more with memory(bytes), or fewer files";

    /** A message of Linux and its meaning, in which $1 is what the message's group was. The first that is found counts. */
    private record Case(Pattern message, String meaning) {
        Case(String message, String meaning) {
            this(Pattern.compile(message), meaning);
        }
    }

    private static final List<Case> CASES = List.of(
            // init/initramfs.c; write error: no room
            new Case(
                    "Initramfs unpacking failed: (.*)",
                    "the guest's files could not be unpacked ($1), for lack of memory most likely; " + MORE_MEMORY),
            // resource init
            new Case("jkvm: (.*)", "the guest could not be set up: $1"),
            // mm/oom_kill.c, out_of_memory
            new Case("System is deadlocked on memory", "the guest ran out of memory; " + MORE_MEMORY),
            // mm/oom_kill.c, __oom_kill_process
            new Case(
                    "Out of memory[^:]*: Killed process \\d+ \\(([^)]*)\\)",
                    "the guest ran out of memory, and its kernel killed '$1'; " + MORE_MEMORY),
            // kernel/exit.c, do_exit
            new Case(
                    "Kernel panic - not syncing: Attempted to kill init! exitcode=(\\S+)",
                    "process 1 of the guest has died (exit code $1), and the kernel with it"),
            // init/main.c
            new Case(
                    "Kernel panic - not syncing: No working init found",
                    "the guest's first file system has no process 1"),
            new Case("Kernel panic - not syncing: (.*)", "the guest's kernel panicked: $1"));

    private ConsoleDiagnosis() {}

    /** Returns a sentence about what went wrong, or an empty text. */
    static String of(String console) {
        for (Case each : CASES) {
            Matcher matcher = each.message.matcher(console);
            if (matcher.find()) {
                String found = matcher.groupCount() > 0 ? matcher.group(1).strip() : "";
                return each.meaning.replace("$1", found);
            }
        }
        return "";
    }
}
