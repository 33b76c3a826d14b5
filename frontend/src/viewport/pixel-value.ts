/** The value of one pixel of an image in memory, after the modality LUT. */

import { cache } from "@cornerstonejs/core";

/** One number for grey images, one a channel for colour; undefined outside or when not loaded. */
export function pixelValue(imageId: string, column: number, row: number): number[] | undefined {
	const image = cache.getImage(imageId);
	if (!image || column < 0 || row < 0 || column >= image.columns || row >= image.rows)
		return undefined;
	const values = image.getPixelData();
	const channels = Math.round(values.length / (image.rows * image.columns));
	const start = (row * image.columns + column) * channels;
	return Array.from(values.slice(start, start + channels));
}
