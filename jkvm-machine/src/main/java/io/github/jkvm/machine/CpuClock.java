package io.github.jkvm.machine;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/** For how long threads have worked. What a thread had is kept when it has ended. Safe for use by many threads. */
final class CpuClock {
    /** By thread: nanoseconds, as last seen. Guarded by this. */
    private final Map<Thread, Long> seen = new LinkedHashMap<>();

    /** Only who asks for times pays for the start of the JVM's management. */
    private static final class Threads {
        static final ThreadMXBean BEAN = ManagementFactory.getThreadMXBean();
    }

    synchronized void add(Thread thread) {
        seen.put(thread, 0L);
    }

    synchronized Duration read() {
        long sum = 0;
        for (Map.Entry<Thread, Long> thread : seen.entrySet()) {
            // -1 before its start and after its end.
            long now = Threads.BEAN.getThreadCpuTime(thread.getKey().threadId());
            thread.setValue(Math.max(now, thread.getValue()));
            sum += thread.getValue();
        }
        return Duration.ofNanos(sum);
    }
}
