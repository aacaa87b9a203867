package io.github.jkvm.kvm.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Compares every layout, request and number with what a C compiler makes of the kernel headers installed here. */
class KernelHeadersTest {
    private static final long NEVER = Long.MAX_VALUE;

    /** What came after the oldest headers this is tested with (Debian 12: Linux 6.1), and with which Linux, as {@code LINUX_VERSION_CODE}. */
    private static final Map<String, Long> NEWER = Map.ofEntries(
            Map.entry("KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP", version(6, 2)),
            Map.entry("KVM_CAP_PMU_EVENT_MASKED_EVENTS", version(6, 3)),
            Map.entry("KVM_PMU_EVENT_FLAG_MASKED_EVENTS", version(6, 3)),
            Map.entry("hypercall.flags", version(6, 4)),
            Map.entry("kvm_userspace_memory_region2", version(6, 8)),
            Map.entry("kvm_create_guest_memfd", version(6, 8)),
            Map.entry("kvm_memory_attributes", version(6, 8)),
            Map.entry("KVM_SET_USER_MEMORY_REGION2", version(6, 8)),
            Map.entry("KVM_CREATE_GUEST_MEMFD", version(6, 8)),
            Map.entry("KVM_SET_MEMORY_ATTRIBUTES", version(6, 8)),
            Map.entry("KVM_MEM_GUEST_MEMFD", version(6, 8)),
            Map.entry("KVM_MEMORY_ATTRIBUTE_PRIVATE", version(6, 8)),
            Map.entry("KVM_EXIT_MEMORY_FAULT", version(6, 8)),
            Map.entry("KVM_MEMORY_EXIT_FLAG_PRIVATE", version(6, 8)),
            Map.entry("memory_fault", version(6, 8)),
            Map.entry("KVM_CAP_USER_MEMORY2", version(6, 8)),
            Map.entry("KVM_CAP_MEMORY_FAULT_INFO", version(6, 8)),
            Map.entry("KVM_CAP_MEMORY_ATTRIBUTES", version(6, 8)),
            Map.entry("KVM_CAP_GUEST_MEMFD", version(6, 8)),
            Map.entry("KVM_CAP_VM_TYPES", version(6, 8)),
            Map.entry("kvm_pre_fault_memory", version(6, 11)),
            Map.entry("KVM_PRE_FAULT_MEMORY", version(6, 11)),
            Map.entry("KVM_CAP_PRE_FAULT_MEMORY", version(6, 11)),
            Map.entry("KVM_CAP_X86_APIC_BUS_CYCLES_NS", version(6, 11)),
            Map.entry("KVM_CAP_X86_GUEST_MODE", version(6, 12)),
            Map.entry("KVM_EXIT_TDX", version(6, 16)),
            Map.entry("KVM_SYSTEM_EVENT_TDX_FATAL", version(6, 16)),
            Map.entry("tdx", version(6, 16)),
            Map.entry("KVM_CAP_GUEST_MEMFD_FLAGS", version(6, 18)),
            Map.entry("KVM_EXIT_ARM_SEA", version(6, 19)),
            Map.entry("arm_sea", version(6, 19)),
            // In the headers of Arm alone.
            Map.entry("kvm_vcpu_init", NEVER),
            Map.entry("KVM_ARM_VCPU_INIT", NEVER),
            Map.entry("KVM_ARM_PREFERRED_TARGET", NEVER));

    @TempDir
    private Path folder;

    private static long version(int major, int minor) {
        return (long) major << 16 | minor << 8;
    }

    @TestFactory
    Stream<DynamicTest> agreesWithTheHeadersOn() throws Exception {
        Path compiler = CHeaders.compiler().orElse(null);
        assumeTrue(
                compiler != null,
                "no C compiler on the PATH: layouts, requests and numbers are not compared with the kernel headers");
        assumeTrue("amd64".equals(System.getProperty("os.arch")), "the layouts are those of x86-64");
        Map<Class<?>, Map<String, Long>> declared = new LinkedHashMap<>();
        List<String> expressions = new ArrayList<>(List.of("LINUX_VERSION_CODE"));
        for (Class<?> holder : Declarations.holders()) {
            declared.put(holder, Declarations.expressions(holder));
            expressions.addAll(declared.get(holder).keySet());
        }
        Map<String, Long> values = values(compiler, expressions);
        long headers = values.get("LINUX_VERSION_CODE");

        List<DynamicTest> tests = new ArrayList<>();
        declared.forEach(
                (holder, ours) -> tests.add(dynamicTest(holder.getSimpleName(), () -> compare(ours, values, headers))));
        tests.add(dynamicTest("what they have", () -> reportLacking(expressions, values, headers)));
        return tests.stream();
    }

    private Map<String, Long> values(Path compiler, List<String> expressions) throws IOException, InterruptedException {
        try {
            return new CHeaders(compiler, folder).evaluate(expressions);
        } catch (CHeaders.NoHeadersException e) {
            return abort("no kernel headers (Debian: linux-libc-dev), so layouts are not compared with them: "
                    + e.getMessage());
        }
    }

    private static void compare(Map<String, Long> ours, Map<String, Long> values, long headers) {
        List<String> wrong = new ArrayList<>();
        ours.forEach((expression, value) -> {
            Long theirs = values.get(expression);
            if (theirs == null && since(expression) <= headers) {
                wrong.add(
                        expression + " is not in the headers of Linux " + text(headers) + " and not known to be newer");
            } else if (theirs != null && !theirs.equals(value)) {
                wrong.add(expression + " is " + value + " here and " + theirs + " in the headers");
            }
        });
        assertThat(wrong).isEmpty();
    }

    private static void reportLacking(List<String> expressions, Map<String, Long> values, long headers) {
        var lacking = new TreeSet<String>();
        for (String expression : expressions) {
            if (!values.containsKey(expression)) {
                NEWER.keySet().stream().filter(name -> names(expression, name)).forEach(lacking::add);
            }
        }
        if (!lacking.isEmpty()) {
            abort("the headers of Linux %s lack these, which were not compared: %s".formatted(text(headers), lacking));
        }
    }

    /** Sizes and numbers of what came after Linux 6.1 or is Arm's, as its users have them. */
    @Test
    void hasTheSizesOfStructuresThatTheHeadersMayLack() {
        assertThat(VmIoctls.KVM_SET_USER_MEMORY_REGION2.number()).isEqualTo(0x40A0_AE49L);
        assertThat(VmIoctls.KVM_SET_MEMORY_ATTRIBUTES.number()).isEqualTo(0x4020_AED2L);
        assertThat(VmIoctls.KVM_CREATE_GUEST_MEMFD.number()).isEqualTo(0xC040_AED4L);
        assertThat(VCpuIoctls.KVM_PRE_FAULT_MEMORY.number()).isEqualTo(0xC040_AED5L);
        assertThat(ArmIoctls.KVM_ARM_VCPU_INIT.number()).isEqualTo(0x4020_AEAEL);
        assertThat(ArmIoctls.KVM_ARM_PREFERRED_TARGET.number()).isEqualTo(0x8020_AEAFL);
        assertThat(RunStructs.KVM_RUN.offset("memory_fault.gpa")).isEqualTo(40);
        assertThat(RunStructs.KVM_RUN.offset("hypercall.flags"))
                .isEqualTo(RunStructs.KVM_RUN.offset("hypercall.longmode"));
    }

    /** When something came: 0 for what every header has. */
    private static long since(String expression) {
        return NEWER.entrySet().stream()
                .filter(newer -> names(expression, newer.getKey()))
                .mapToLong(Map.Entry::getValue)
                .max()
                .orElse(0);
    }

    private static boolean names(String expression, String name) {
        return expression.matches("(.*\\W)?" + name + "(\\W.*)?");
    }

    private static String text(long version) {
        return (version >> 16) + "." + (version >> 8 & 0xFF);
    }
}
