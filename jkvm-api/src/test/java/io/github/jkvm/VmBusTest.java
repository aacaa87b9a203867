package io.github.jkvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class VmBusTest {
    private final GuestMemory memory = GuestMemory.of(MemoryRegion.onHeap(GuestAddress.ZERO, 0x1_0000));
    private final VmBus bus = new VmBus(vmWith(memory), loopThatIsNotUsed());
    private final List<String> seen = new ArrayList<>();

    /** Answers with its offset and notes what is written. */
    private final IoHandler echo = new IoHandler() {
        @Override
        public long read(long offset, int size) {
            return offset;
        }

        @Override
        public void write(long offset, int size, long value) {
            seen.add(offset + "/" + size + "=" + value);
        }
    };

    private static Vm vmWith(GuestMemory memory) {
        return (Vm) Proxy.newProxyInstance(
                VmBusTest.class.getClassLoader(), new Class<?>[] {Vm.class}, (proxy, method, args) -> {
                    if (method.getName().equals("memory")) {
                        return memory;
                    }
                    if (method.isDefault()) {
                        return InvocationHandler.invokeDefault(proxy, method, args);
                    }
                    if (method.getName().equals("addMemory")) {
                        var region = MemoryRegion.onHeap((GuestAddress) args[0], ((MemoryBacking) args[1]).size());
                        memory.add(region);
                        return region;
                    }
                    throw new UnsupportedOperationException(method.getName());
                });
    }

    private static EventLoop loopThatIsNotUsed() {
        return (EventLoop) Proxy.newProxyInstance(
                VmBusTest.class.getClassLoader(), new Class<?>[] {EventLoop.class}, (proxy, method, args) -> {
                    throw new UnsupportedOperationException(method.getName());
                });
    }

    @Test
    void handsAccessesToTheDeviceWithItsOffset() {
        bus.claimPorts(0x3F8, 8, echo, "serial");
        bus.claimMmio(GuestAddress.of(0xD000_0000L), 0x200, echo, "disk");
        assertThat(bus.portIn(0x3FD, 1)).isEqualTo(5);
        bus.portOut(0x3F8, 1, 65);
        assertThat(bus.mmioRead(0xD000_0100L, 4)).isEqualTo(0x100);
        bus.mmioWrite(0xD000_01F8L, 8, -1);
        assertThat(seen).containsExactly("0/1=65", "504/8=-1");
        assertThat(bus.unclaimedAccesses()).isZero();
    }

    @Test
    void answersAllOnesWhereNothingIs() {
        bus.claimPorts(0x70, 2, echo, "clock");
        assertThat(bus.portIn(0x6F, 1)).isEqualTo(IoHandler.OPEN_BUS);
        assertThat(bus.portIn(0x71, 2)).as("runs over the end of the range").isEqualTo(IoHandler.OPEN_BUS);
        assertThat(bus.mmioRead(-1, 8)).isEqualTo(IoHandler.OPEN_BUS);
        bus.portOut(0x80, 1, 1);
        bus.mmioWrite(0, 1, 1);
        assertThat(bus.unclaimedAccesses()).isEqualTo(5);
    }

    @Test
    void refusesRangesThatOverlapAndNamesTheOwners() {
        bus.claimPorts(0x60, 5, echo, "i8042");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> bus.claimPorts(0x64, 1, echo, "other"))
                .withMessage("other claims 0x64..0x64, but i8042 has 0x60..0x64");
        assertThatIllegalArgumentException().isThrownBy(() -> bus.claimPorts(0xFFFF, 2, echo, "x"));
        assertThatIllegalArgumentException().isThrownBy(() -> bus.claimPorts(-1, 2, echo, "x"));
        assertThatIllegalArgumentException().isThrownBy(() -> bus.claimPorts(0, 0, echo, "x"));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> bus.claimMmio(GuestAddress.of(0xF000), 0x2000, echo, "disk"))
                .withMessageContaining("overlaps memory");
        assertThatIllegalArgumentException().isThrownBy(() -> bus.claimMmio(GuestAddress.of(-1), 2, echo, "disk"));
    }

    @Test
    void mapsMemoryOfDevicesInItsWindow() {
        bus.useMemoryWindow(new AddressWindow(GuestAddress.of(0x1_0001_0000L), 0x10_0000));
        MemoryRegion first = bus.mapMemory(MemoryBacking.anonymous(0x1000), 0x2_0000);
        MemoryRegion second = bus.mapMemory(MemoryBacking.anonymous(0x3000), 0x1000);
        assertThat(first.base()).isEqualTo(GuestAddress.of(0x1_0002_0000L));
        assertThat(second.base()).isEqualTo(GuestAddress.of(0x1_0002_1000L));
        assertThat(memory.regions()).contains(first, second);
    }

    @Test
    void refusesToMapMemoryWithoutAWindow() {
        assertThatExceptionOfType(UnsupportedOperationException.class)
                .isThrownBy(() -> bus.mapMemory(MemoryBacking.anonymous(0x1000), 0x1000))
                .withMessageContaining("no place for memory of devices");
    }

    @Test
    void hasNoPciBusUnlessItIsGivenOne() {
        assertThatExceptionOfType(UnsupportedOperationException.class)
                .isThrownBy(bus::pci)
                .withMessageContaining("give it one with VmBus.usePci");
        PciBus pci = function -> {
            throw new IllegalStateException("full");
        };
        bus.usePci(pci);
        assertThat(bus.pci()).isSameAs(pci);
    }

    @Test
    void givesARangeBackOnce() {
        Bus.Claim first = bus.claimPorts(0x60, 1, echo, "a");
        first.close();
        bus.claimPorts(0x60, 1, echo, "a");
        first.close();
        assertThat(bus.portIn(0x60, 1)).isZero();
    }

    @Property(tries = 300)
    void findsTheDeviceThatHasAPort(
            @ForAll @Size(max = 30) List<@IntRange(min = 0, max = 300) Integer> starts,
            @ForAll @IntRange(min = 0, max = 320) int port,
            @ForAll @IntRange(min = 1, max = 4) int size) {
        VmBus fresh = new VmBus(vmWith(memory), loopThatIsNotUsed());
        TreeMap<Integer, Integer> model = new TreeMap<>();
        for (int start : starts) {
            boolean free = model.entrySet().stream().noneMatch(e -> start < e.getKey() + 7 && e.getKey() < start + 7);
            if (free) {
                fresh.claimPorts(start, 7, echo, "device" + start);
                model.put(start, start);
            }
        }
        var below = model.floorKey(port);
        boolean hit = below != null && port + size <= below + 7;
        assertThat(fresh.portIn(port, size)).isEqualTo(hit ? port - below : IoHandler.OPEN_BUS);
    }
}
