package io.github.jkvm.virtio.block;

import java.io.IOException;

/** An image file is not of the format it was opened as, is damaged, or needs a feature that is not supported. The text names it. */
public final class ImageFormatException extends IOException {
    private static final long serialVersionUID = 1L;

    /**
     * Creates an exception.
     *
     * @param image which image
     * @param problem what is wrong with it, and the remedy if there is one
     */
    public ImageFormatException(String image, String problem) {
        super(image + ": " + problem);
    }
}
