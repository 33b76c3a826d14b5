/** Uncompressed YBR_FULL_422, which the engine's loader takes for RGB and paints as noise. */

/**
 * RGB, or RGBA with four channels, of pixel pairs stored as Y1 Y2 Cb Cr; full range
 * (PS3.3 C.7.6.3.1.2). `bytes` holds two bytes a pixel.
 */
export function rgbOfYbr422(bytes: ArrayLike<number>, channels: 3 | 4 = 3): Uint8ClampedArray {
	const pixels = Math.floor(bytes.length / 2);
	const out = new Uint8ClampedArray(pixels * channels).fill(255);
	for (let pixel = 0; pixel < pixels; pixel += 1) {
		const pair = (pixel >> 1) * 4;
		const y = bytes[pair + (pixel & 1)] ?? 0;
		const cb = (bytes[pair + 2] ?? 128) - 128;
		const cr = (bytes[pair + 3] ?? 128) - 128;
		const at = pixel * channels;
		out[at] = y + 1.402 * cr;
		out[at + 1] = y - 0.344136 * cb - 0.714136 * cr;
		out[at + 2] = y + 1.772 * cb;
	}
	return out;
}
