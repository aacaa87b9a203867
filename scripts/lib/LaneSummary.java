import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;

/**
 * Adds up the JUnit XML reports of one test lane.
 *
 * <p>Usage: {@code java LaneSummary.java LANE FOLDER...}; every {@code TEST-*.xml} in or below the folders is read. Prints each
 * failed test with its message, each skipped test with its reason, and last one line
 * {@code lane LANE: N passed, N failed, N skipped}. Ends with status 1 if a test failed or none passed or failed.
 */
final class LaneSummary {
    private final Set<String> failed = new LinkedHashSet<>();
    private final Set<String> skipped = new LinkedHashSet<>();
    private int passedCount;
    private int failedCount;
    private int skippedCount;

    public static void main(String[] args) throws Exception {
        LaneSummary summary = new LaneSummary();
        for (int i = 1; i < args.length; i++) {
            for (Path report : reportsBelow(Path.of(args[i]))) {
                summary.read(report);
            }
        }
        summary.failed.forEach(line -> System.out.println("  failed  " + line));
        summary.skipped.forEach(line -> System.out.println("  skipped " + line));
        System.out.printf(
                "lane %s: %d passed, %d failed, %d skipped%n",
                args[0], summary.passedCount, summary.failedCount, summary.skippedCount);
        System.exit(summary.failedCount > 0 || summary.passedCount == 0 ? 1 : 0);
    }

    private static List<Path> reportsBelow(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(file -> file.getFileName().toString().matches("TEST-.*\\.xml"))
                    .sorted()
                    .toList();
        }
    }

    private void read(Path report) throws Exception {
        NodeList cases;
        try {
            cases = DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(report.toFile())
                    .getElementsByTagName("testcase");
        } catch (org.xml.sax.SAXException broken) {
            // A test JVM that died while it wrote its report: that is a failure, not a lane with fewer tests.
            failedCount++;
            failed.add(report + ": the report is cut short: " + broken.getMessage());
            return;
        }
        for (int i = 0; i < cases.getLength(); i++) {
            count((Element) cases.item(i));
        }
    }

    private void count(Element test) {
        String name = simpleName(test.getAttribute("classname")) + "." + test.getAttribute("name");
        Element failure = child(test, "failure", "error");
        Element skip = child(test, "skipped");
        if (failure != null) {
            failedCount++;
            failed.add(name + ": " + reason(failure));
        } else if (skip != null) {
            skippedCount++;
            skipped.add(name + ": " + reason(skip));
        } else {
            passedCount++;
        }
    }

    private static String simpleName(String className) {
        return className.substring(className.lastIndexOf('.') + 1);
    }

    private static Element child(Element parent, String... names) {
        for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node instanceof Element element && List.of(names).contains(element.getTagName())) {
                return element;
            }
        }
        return null;
    }

    /** The first line that says something: of the message if there is one, else of the text, less the exception's class. */
    private static String reason(Element outcome) {
        return Stream.of(outcome.getAttribute("message"), outcome.getTextContent())
                .flatMap(String::lines)
                .map(String::strip)
                .filter(line -> !line.isEmpty())
                .map(line -> line.replaceFirst("^[\\w.$]+(Exception|Error|Failure): (Assumption failed: )?", ""))
                .findFirst()
                .orElse("no reason given");
    }
}
