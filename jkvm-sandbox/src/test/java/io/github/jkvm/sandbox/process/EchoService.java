package io.github.jkvm.sandbox.process;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Answers questions of the process that it is in, a line each. */
public final class EchoService implements ChildService {
    @Override
    public void serve(SocketChannel connection) throws IOException {
        ByteBuffer question = ByteBuffer.allocate(100);
        while (connection.read(question.clear()) >= 0) {
            String text = new String(question.array(), 0, question.position(), StandardCharsets.UTF_8);
            System.out.println("was asked " + text);
            connection.write(ByteBuffer.wrap(answer(text).getBytes(StandardCharsets.UTF_8)));
        }
    }

    private static String answer(String question) throws IOException {
        switch (question) {
            case "files" -> {
                try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
                    List<String> open = files.map(EchoService::target).toList();
                    return String.join(",", open);
                }
            }
            case "variables" -> {
                return String.join(",", System.getenv().keySet());
            }
            case "interfaces" -> {
                return Files.readString(Path.of("/proc/self/net/dev"))
                        .lines()
                        .skip(2)
                        .map(line -> line.replaceFirst(":.*", "").strip())
                        .reduce("", String::concat);
            }
            case "death" -> {
                System.err.println("dying as told");
                Runtime.getRuntime().halt(7);
            }
            default -> {
                return "echo of " + question;
            }
        }
        throw new AssertionError("not reached");
    }

    private static String target(Path link) {
        try {
            return Files.readSymbolicLink(link).toString();
        } catch (IOException e) {
            return "gone";
        }
    }
}
