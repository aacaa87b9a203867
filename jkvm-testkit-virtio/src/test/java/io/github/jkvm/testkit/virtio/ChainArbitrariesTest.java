package io.github.jkvm.testkit.virtio;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.Predicate;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.RandomGenerator;
import net.jqwik.api.Shrinkable;

/** Chains are mostly well-formed, broken in every way now and then, and shrink to what matters. */
class ChainArbitrariesTest {
    private static final long FEATURES = RingFeatures.VERSION_1 | RingFeatures.INDIRECT_DESC;
    private static final int SAMPLES = 20_000;

    @Example
    void oneChainInTwentyIsBrokenInAnyWay() {
        RandomGenerator<Chain> generator = ChainArbitraries.chains(FEATURES).generator(1000, true);
        var random = new Random(1);
        Map<ChainDefect, Integer> broken = new EnumMap<>(ChainDefect.class);
        int long0 = 0;
        for (int i = 0; i < SAMPLES; i++) {
            Chain chain = generator.next(random).value();
            chain.defect().ifPresent(defect -> broken.merge(defect, 1, Integer::sum));
            long0 += chain.parts() > 1 ? 1 : 0;
            assertThat(chain.parts()).isBetween(1, 8);
        }
        int count = broken.values().stream().mapToInt(Integer::intValue).sum();
        assertThat(count).isBetween(SAMPLES / 30, SAMPLES / 14);
        assertThat(broken.keySet()).isEqualTo(ChainDefect.possibleWith(FEATURES));
        assertThat(broken.values()).allMatch(each -> each > SAMPLES / 20 / 12 / 3);
        assertThat(long0).as("chains of several parts").isGreaterThan(SAMPLES / 2);
    }

    @Example
    void breaksOnlyWhatTheFeaturesAllow() {
        var random = new Random(2);
        for (long features : new long[] {0, RingFeatures.RING_PACKED, RingFeatures.RING_PACKED | FEATURES}) {
            RandomGenerator<Chain> generator = ChainArbitraries.broken(features).generator(1000, true);
            for (int i = 0; i < 1000; i++) {
                assertThat(ChainDefect.possibleWith(features))
                        .contains(generator.next(random).value().defect().orElseThrow());
            }
        }
    }

    @Example
    void aFailureThatNeedsADefectShrinksToTheSmallestChainWithIt() {
        Chain chain = shrunk(
                ChainArbitraries.chains(FEATURES), each -> each.defect().equals(Optional.of(ChainDefect.ENDLESS)));
        assertThat(chain).hasToString("Chain[writable(0)].broken(ENDLESS)");
    }

    @Example
    void aFailureOfAnyDefectShrinksToTheFirst() {
        Chain chain =
                shrunk(ChainArbitraries.chains(FEATURES), each -> each.defect().isPresent());
        assertThat(chain.defect()).contains(ChainDefect.BUFFER_OUTSIDE_MEMORY);
        assertThat(chain.parts()).isOne();
    }

    @Example
    void aFailureThatNeedsNoDefectShrinksToAWellFormedChain() {
        Chain chain =
                shrunk(ChainArbitraries.chains(FEATURES), each -> each.writableBytes() >= 100 && each.parts() > 1);
        assertThat(chain.defect()).isEmpty();
        assertThat(chain.writableBytes()).isEqualTo(100);
        assertThat(chain.parts()).isEqualTo(2);
        assertThat(chain.toString()).doesNotContain("indirect");
    }

    /** Finds a chain that fails, and shrinks it as jqwik does: to the first that still fails, again and again. */
    private static Chain shrunk(Arbitrary<Chain> arbitrary, Predicate<Chain> fails) {
        RandomGenerator<Chain> generator = arbitrary.generator(1000, false);
        var random = new Random(3);
        Shrinkable<Chain> chain = generator.next(random);
        while (!fails.test(chain.value())
                || (chain.value().defect().isEmpty() && chain.value().parts() < 4)) {
            chain = generator.next(random);
        }
        while (true) {
            Optional<Shrinkable<Chain>> smaller =
                    chain.shrink().filter(each -> fails.test(each.value())).findFirst();
            if (smaller.isEmpty()) {
                return chain.value();
            }
            chain = smaller.get();
        }
    }
}
