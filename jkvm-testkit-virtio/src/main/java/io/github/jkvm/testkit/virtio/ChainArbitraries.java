package io.github.jkvm.testkit.virtio;

import java.util.List;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.RandomDistribution;

/**
 * Chains for property tests with jqwik 1.9.3, which the test's project brings itself.
 *
 * <pre>{@code
 * @Provide
 * Arbitrary<Chain> chains() {
 *     return ChainArbitraries.chains(FEATURES);       // any chains
 *     // or, for a device that understands some
 *     return ChainArbitraries.rarelyBroken(requests, FEATURES);
 * }
 *
 * @Property
 * void servesWhatItCan(@ForAll("chains") Chain chain) { ... }
 * }</pre>
 *
 * <p>Of twenty chains one is {@linkplain Chain#broken broken}. They shrink to fewer, shorter and plainer parts, to no indirect table and to no
 * defect, as long as the property still fails; a defect that matters shrinks to the first in {@link ChainDefect} that does.
 */
@SuppressWarnings("exports") // of types of jqwik, which is in no named module
public final class ChainArbitraries {
    /** One chain in so many is broken. */
    private static final int BROKEN_ONE_IN = 20;

    private static final int MOST_PARTS = 8;
    private static final int MOST_BYTES = 2048;
    private static final int FEW_BYTES = 64;

    static {
        // jqwik 1.9.3 has no module name that a published module could require, so that the test's project says where
        // it is.
        Module here = ChainArbitraries.class.getModule();
        here.addReads(ChainArbitraries.class.getClassLoader().getUnnamedModule());
    }

    private ChainArbitraries() {}

    /**
     * Returns chains of any length and kind, some of them broken.
     *
     * @param features what was negotiated, on which it depends what can be broken ({@link ChainDefect#possibleWith})
     * @return chains of 1 to 8 parts, readable before writable, of 0 to 2048 bytes
     */
    public static Arbitrary<Chain> chains(long features) {
        return rarelyBroken(wellFormed(), features);
    }

    /**
     * Returns chains that keep to the rules.
     *
     * @return chains of 1 to 8 parts, readable before writable, of 0 to 2048 bytes; some go through an indirect table
     */
    public static Arbitrary<Chain> wellFormed() {
        Arbitrary<List<byte[]>> readable = contents().list().ofMaxSize(MOST_PARTS / 2);
        Arbitrary<List<Integer>> writable = lengths().list().ofMaxSize(MOST_PARTS / 2);
        Arbitrary<Chain.Placement> placements = Arbitraries.of(Chain.Placement.class);
        return Combinators.combine(readable, writable, placements)
                .filter((reads, writes, placement) -> !reads.isEmpty() || !writes.isEmpty())
                .as((reads, writes, placement) -> {
                    Chain chain = Chain.of();
                    for (byte[] content : reads) {
                        chain = chain.readable(content);
                    }
                    for (int length : writes) {
                        chain = chain.writable(length);
                    }
                    return placement == Chain.Placement.INDIRECT ? chain.indirect() : chain;
                });
    }

    private static Arbitrary<Integer> lengths() {
        return Arbitraries.integers().between(0, MOST_BYTES);
    }

    /** Mostly short: long ones take long to shrink. */
    private static Arbitrary<byte[]> contents() {
        return Arbitraries.bytes().array(byte[].class).ofMaxSize(FEW_BYTES);
    }

    /**
     * Returns the chains of an arbitrary, one in twenty of them broken.
     *
     * @param wellFormed chains that the device understands
     * @param features what was negotiated, on which it depends what can be broken
     * @return the chains
     */
    public static Arbitrary<Chain> rarelyBroken(Arbitrary<Chain> wellFormed, long features) {
        List<ChainDefect> defects = List.copyOf(ChainDefect.possibleWith(features));
        // Numbers shrink towards 0, which is no defect.
        int wholes = defects.size() * (BROKEN_ONE_IN - 1);
        Arbitrary<Integer> numbers = Arbitraries.integers()
                .between(0, wholes + defects.size() - 1)
                .withDistribution(RandomDistribution.uniform())
                .withoutEdgeCases();
        return Combinators.combine(wellFormed, numbers)
                .as((chain, number) -> number < wholes ? chain : chain.broken(defects.get(number - wholes)));
    }

    /**
     * Returns chains that are broken, each in one way.
     *
     * @param features what was negotiated, on which it depends what can be broken
     * @return the chains
     */
    public static Arbitrary<Chain> broken(long features) {
        Set<ChainDefect> defects = ChainDefect.possibleWith(features);
        return Combinators.combine(wellFormed(), Arbitraries.of(defects)).as(Chain::broken);
    }
}
