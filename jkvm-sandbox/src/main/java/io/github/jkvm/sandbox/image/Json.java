package io.github.jkvm.sandbox.image;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An object of a JSON document. Members that are missing, null or of another kind are taken as not there: images carry many that only other programs know.
 *
 * @param members its members; values are objects, lists, strings and numbers of 64 bits
 */
record Json(Map<String, Object> members) {
    private static final int MAX_DEPTH = 64;

    private static final JsonFactory FACTORY = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .streamReadConstraints(
                    StreamReadConstraints.builder().maxNestingDepth(MAX_DEPTH).build())
            .build();

    /**
     * Reads a document.
     *
     * @param document UTF-8, not much of it: all of it is kept
     * @throws IOException if it is no JSON, no object, names a member twice, or goes deeper than 64
     */
    static Json parse(byte[] document) throws IOException {
        try (JsonParser parser = FACTORY.createParser(document)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new IOException("is no JSON object");
            }
            Json object = object(parser);
            if (parser.nextToken() != null) {
                throw new IOException("has more behind its JSON object");
            }
            return object;
        }
    }

    private static Json object(JsonParser parser) throws IOException {
        Map<String, Object> members = new LinkedHashMap<>();
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            Object value = value(parser, parser.nextToken());
            if (value != null) {
                members.put(name, value);
            }
        }
        return new Json(members);
    }

    private static @Nullable Object value(JsonParser parser, JsonToken token) throws IOException {
        return switch (token) {
            case START_OBJECT -> object(parser);
            case START_ARRAY -> {
                List<Object> list = new ArrayList<>();
                for (JsonToken next = parser.nextToken(); next != JsonToken.END_ARRAY; next = parser.nextToken()) {
                    Object value = value(parser, next);
                    if (value != null) {
                        list.add(value);
                    }
                }
                yield list;
            }
            case VALUE_STRING -> parser.getText();
            case VALUE_NUMBER_INT ->
                parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER ? null : parser.getLongValue();
            default -> null;
        };
    }

    /** A string; empty if it is not there. */
    String string(String name) {
        return members.get(name) instanceof String text ? text : "";
    }

    /** An integer; -1 if it is not there. */
    long number(String name) {
        return members.get(name) instanceof Long number ? number : -1;
    }

    /** An object; nothing if it is not there. */
    Optional<Json> object(String name) {
        return members.get(name) instanceof Json object ? Optional.of(object) : Optional.empty();
    }

    /** The objects of a list; none if it is not there. */
    List<Json> objects(String name) {
        return elements(name, Json.class);
    }

    /** The strings of a list; none if it is not there. */
    List<String> strings(String name) {
        return elements(name, String.class);
    }

    private <T> List<T> elements(String name, Class<T> type) {
        return members.get(name) instanceof List<?> list
                ? list.stream().filter(type::isInstance).map(type::cast).toList()
                : List.of();
    }
}
