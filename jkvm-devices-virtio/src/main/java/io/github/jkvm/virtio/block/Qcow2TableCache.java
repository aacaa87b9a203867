package io.github.jkvm.virtio.block;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Tables of one cluster each, kept in memory and written back when their owner says so. Changed tables are never dropped to
 * make room, since the order in which they reach the file matters; the owner writes them before there are too many.
 *
 * <p>Used under the lock of its owner.
 */
final class Qcow2TableCache {
    private static final int BUDGET_BYTES = 4 << 20;
    private static final int MIN_SLOTS = 16;
    private static final int MAX_SLOTS = 512;

    /** A table in memory; its bytes are those of another table once {@link #table} was called for others. */
    static final class Table {
        final MemorySegment bytes;
        private long offset;
        private boolean dirty;

        private Table(MemorySegment bytes) {
            this.bytes = bytes;
        }

        long offset() {
            return offset;
        }
    }

    private final ImageFile file;
    private final Arena arena;
    private final int clusterSize;
    private final int slots;

    /** By offset, the least recently used first. */
    private final Map<Long, Table> tables = new LinkedHashMap<>(16, 0.75f, true);

    private int dirty;

    Qcow2TableCache(ImageFile file, Arena arena, int clusterSize) {
        this.file = file;
        this.arena = arena;
        this.clusterSize = clusterSize;
        this.slots = Math.clamp(BUDGET_BYTES / clusterSize, MIN_SLOTS, MAX_SLOTS);
    }

    /** Returns the table at an offset, which the caller has checked. */
    Table table(long offset) throws IOException {
        Table table = tables.get(offset);
        if (table == null) {
            table = room();
            file.readOrZeros(offset, List.of(table.bytes));
            put(table, offset);
        }
        return table;
    }

    /** Returns a table of zeros for an offset at which there was none. */
    Table newTable(long offset) {
        forget(offset);
        Table table = room();
        table.bytes.fill((byte) 0);
        put(table, offset);
        changed(table);
        return table;
    }

    void changed(Table table) {
        if (!table.dirty) {
            table.dirty = true;
            dirty++;
        }
    }

    boolean isDirty() {
        return dirty != 0;
    }

    /** Tells that changed tables should be written before more are changed. */
    boolean isFilling() {
        return dirty >= slots / 2;
    }

    /** Hands the changed tables to the file. They are durable after its next sync. */
    void write() throws IOException {
        for (Table table : tables.values()) {
            if (table.dirty) {
                file.write(table.offset, List.of(table.bytes));
                table.dirty = false;
                dirty--;
            }
        }
    }

    /** Drops a table whose cluster is free, without writing it. */
    void forget(long offset) {
        Table table = tables.remove(offset);
        if (table != null && table.dirty) {
            dirty--;
        }
    }

    private void put(Table table, long offset) {
        table.offset = offset;
        table.dirty = false;
        tables.put(offset, table);
    }

    /** Returns memory for a table: new, or that of the one that was not used for longest and needs no write. */
    private Table room() {
        if (tables.size() >= slots) {
            for (Iterator<Table> oldestFirst = tables.values().iterator(); oldestFirst.hasNext(); ) {
                Table table = oldestFirst.next();
                if (!table.dirty) {
                    oldestFirst.remove();
                    return table;
                }
            }
        }
        return new Table(arena.allocate(clusterSize, Long.BYTES));
    }
}
