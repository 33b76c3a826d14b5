/** Uncompressed YBR_FULL_422, which the engine's loader takes for RGB and paints as noise. */

import { type Types, utilities } from "@cornerstonejs/core";
import { type DataSet, text } from "../dicomweb/dicom-json";
import { Tag } from "../model/tags";

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

/** Puts right an image that still holds two bytes a pixel; leaves every other one alone. */
export function convertYbr422(image: Types.IImage, attributes: DataSet): void {
	if (text(attributes, Tag.PhotometricInterpretation) !== "YBR_FULL_422") return;
	const stored = image.getPixelData();
	if (stored.length !== image.rows * image.columns * 2) return;
	const channels = image.rgba ? 4 : 3;
	const rgb = new Uint8Array(rgbOfYbr422(stored, channels).buffer);
	image.voxelManager = utilities.VoxelManager.createImageVoxelManager({
		scalarData: rgb,
		width: image.columns,
		height: image.rows,
		numberOfComponents: channels,
	}) as Types.IImage["voxelManager"];
	image.getPixelData = () => rgb;
	image.sizeInBytes = rgb.byteLength;
	if (image.imageFrame)
		Object.assign(image.imageFrame, { pixelData: rgb, pixelDataLength: rgb.length });
}
