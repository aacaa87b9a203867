package io.github.jkvm.it.sandbox;

/** The functions of functions.c. */
interface Functions {
    record Point(int x, double y) {}

    @SuppressWarnings("ArrayRecordComponent") // what bytes of the guest are
    record Shape(boolean filled, Point from, Point to, String name, byte[] data, float weight, long id) {}

    void nothing();

    long count();

    boolean same_bool(boolean v);

    int same_int(int v);

    long same_long(long v);

    float same_float(float v);

    double same_double(double v);

    String same_string(String v);

    byte[] same_bytes(byte[] v);

    Shape same_shape(Shape v);

    long add(long a, long b);

    long many(int a, long b, boolean c, String d, byte[] e, byte[] f, int g, double h, float i);

    double nine(double a, double b, double c, double d, double e, double f, double g, double h, double i, float j);

    byte[] reversed(byte[] in);

    Shape twice(Shape in);

    void ask_nothing();

    boolean ask_not(boolean v);

    int ask_int(int v);

    long ask_long(long v);

    float ask_float(float v);

    double ask_double(double v);

    String ask_string(String v);

    byte[] ask_bytes(byte[] v);

    Shape ask_shape(Shape v);

    long ask_many(int a, long b, boolean c, String d, byte[] e, byte[] f, int g, double h, float i);

    String ask_often(String first, int times);

    void fail(String message);

    long fail_late(String message);

    long ask_throws(String message);

    String caught(String message);

    void caught_and_passed_on(String message);

    void caught_and_another(String message);

    String null_string();

    Shape null_shape();

    byte[] no_bytes();

    long allocate(long size, int times);

    byte[] zeros(long size);

    /** What it asks of the host. */
    interface Host {
        void host_nothing();

        boolean host_not(boolean v);

        int host_int(int v);

        long host_long(long v);

        float host_float(float v);

        double host_double(double v);

        String host_string(String v);

        byte[] host_bytes(byte[] v);

        Shape host_shape(Shape v);

        long host_many(int a, long b, boolean c, String d, byte[] e, byte[] f, int g, double h, float i);

        long host_throws(String message) throws Exception;
    }
}
