package io.github.jkvm.virtio.queue;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.jkvm.testkit.virtio.Chain;
import io.github.jkvm.testkit.virtio.ChainArbitraries;
import io.github.jkvm.testkit.virtio.ChainDefect;
import io.github.jkvm.testkit.virtio.VirtioDriver;
import io.github.jkvm.virtio.ConfigSpace;
import io.github.jkvm.virtio.DeviceQueue;
import io.github.jkvm.virtio.Guests;
import io.github.jkvm.virtio.VirtioDevice;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Queues of either format stop at each thing that the testkit's driver can do wrong with a chain, and at nothing else. */
class ChainDefectTest {
    private static final int SIZE = 32;

    /** Completes chains with all their room written, and remembers how long they were. */
    private static final class Filler extends VirtioDevice {
        private final List<Long> served = new ArrayList<>();

        Filler() {
            super("filler0", 42, new ConfigSpace(0), SIZE);
        }

        @Override
        protected void notified(DeviceQueue queue) {
            queue.serve(chain -> {
                served.add(chain.readableBytes());
                byte[] sevens = new byte[(int) chain.writableBytes()];
                Arrays.fill(sevens, (byte) 7);
                return chain.writer().write(MemorySegment.ofArray(sevens));
            });
        }
    }

    static Stream<Object[]> everyDefect() {
        return Stream.of(RingFormat.values())
                .flatMap(format -> Stream.of(ChainDefect.values())
                        .filter(defect ->
                                ChainDefect.possibleWith(features(format)).contains(defect))
                        .map(defect -> new Object[] {format, defect}));
    }

    private static long features(RingFormat format) {
        return Guests.start(new Filler(), format).offered();
    }

    @ParameterizedTest
    @MethodSource("everyDefect")
    void stopsAtEachDefectAndServesNothing(RingFormat format, ChainDefect defect) {
        for (Chain chain : List.of(
                Chain.of().writable(100),
                Chain.of().readable(1, 2, 3),
                Chain.of().readable(1).writable(9))) {
            var device = new Filler();
            VirtioDriver guest = Guests.start(device, format);

            guest.post(0, chain.broken(defect));

            assertThat(guest.needsReset()).as("%s of %s", defect, chain).isTrue();
            assertThat(device.served).isEmpty();
            assertThat(guest.queue(0).takeUsed()).isEmpty();
            guest.start();
            assertThat(guest.send(0, Chain.of().writable(2))).containsExactly(7, 7);
        }
    }

    @Provide
    Arbitrary<List<Chain>> splitChains() {
        return ChainArbitraries.chains(features(RingFormat.SPLIT)).list().ofMaxSize(10);
    }

    @Provide
    Arbitrary<List<Chain>> packedChains() {
        return ChainArbitraries.chains(features(RingFormat.PACKED)).list().ofMaxSize(10);
    }

    @Property(tries = 500)
    void splitQueuesServeAllBeforeTheFirstBrokenChain(@ForAll("splitChains") List<Chain> chains) {
        servesAllBeforeTheFirstBrokenChain(RingFormat.SPLIT, chains);
    }

    @Property(tries = 500)
    void packedQueuesServeAllBeforeTheFirstBrokenChain(@ForAll("packedChains") List<Chain> chains) {
        servesAllBeforeTheFirstBrokenChain(RingFormat.PACKED, chains);
    }

    private static void servesAllBeforeTheFirstBrokenChain(RingFormat format, List<Chain> chains) {
        var device = new Filler();
        VirtioDriver guest = Guests.start(device, format);
        List<Long> expected = new ArrayList<>();
        for (Chain chain : chains) {
            if (chain.defect().isPresent()) {
                guest.post(0, chain);
                assertThat(guest.needsReset()).isTrue();
                break;
            }
            byte[] sevens = new byte[(int) chain.writableBytes()];
            Arrays.fill(sevens, (byte) 7);
            assertThat(guest.send(0, chain)).isEqualTo(sevens);
            expected.add(chain.readableBytes());
        }
        assertThat(device.served).isEqualTo(expected);
    }
}
