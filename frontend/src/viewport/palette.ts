/** Palettes of PALETTE COLOR images (PS3.3 C.7.6.3.1.5 and C.7.9.2), whole or segmented. */

import { bulkData } from "../dicomweb/client";
import { type Attribute, type DataSet, inlineBinary, numbers, text } from "../dicomweb/dicom-json";
import { Tag } from "../model/tags";

export interface Palette {
	/** Entries, first stored value mapped, bits an entry. */
	readonly descriptor: readonly [number, number, number];
	readonly red: Uint16Array;
	readonly green: Uint16Array;
	readonly blue: Uint16Array;
}

const CHANNELS = [
	[Tag.RedPaletteDescriptor, Tag.RedPaletteData, Tag.SegmentedRedPaletteData],
	[Tag.GreenPaletteDescriptor, Tag.GreenPaletteData, Tag.SegmentedGreenPaletteData],
	[Tag.BluePaletteDescriptor, Tag.BluePaletteData, Tag.SegmentedBluePaletteData],
] as const;

/** Undoes segments: 0 discrete, 1 linear, 2 indirect (PS3.3 C.7.9.2). */
export function expandSegments(words: Uint16Array): Uint16Array {
	const out: number[] = [];
	const run = (start: number, count: number): void => {
		let at = start;
		for (let done = 0; done < count && at + 1 < words.length; done += 1) {
			const opcode = words[at] ?? 0;
			const length = words[at + 1] ?? 0;
			if (opcode === 0) {
				for (let index = 0; index < length; index += 1) out.push(words[at + 2 + index] ?? 0);
				at += 2 + length;
			} else if (opcode === 1) {
				const from = out.at(-1) ?? 0;
				const to = words[at + 2] ?? 0;
				for (let step = 1; step <= length; step += 1) {
					out.push(Math.round(from + ((to - from) * step) / length));
				}
				at += 3;
			} else {
				run(((words[at + 3] ?? 0) * 65536 + (words[at + 2] ?? 0)) >> 1, length);
				at += 4;
			}
		}
	};
	run(0, Number.MAX_SAFE_INTEGER);
	return Uint16Array.from(out);
}

/** Table entries from little-endian bytes; 8-bit tables may be packed one entry a byte. */
export function entriesOf(bytes: Uint8Array, count: number): Uint16Array {
	if (bytes.length < count * 2) return Uint16Array.from(bytes.subarray(0, count));
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return Uint16Array.from({ length: Math.min(count, bytes.length >> 1) }, (_, index) =>
		view.getUint16(index * 2, true),
	);
}

async function bytesOf(attribute: Attribute | undefined): Promise<Uint8Array | undefined> {
	if (attribute?.BulkDataURI) return bulkData(attribute.BulkDataURI);
	if (attribute?.Value) {
		const words = Uint16Array.from(attribute.Value.map(Number));
		return new Uint8Array(words.buffer);
	}
	return inlineBinary(attribute);
}

async function channel(
	attributes: DataSet,
	[, dataTag, segmentedTag]: (typeof CHANNELS)[number],
	count: number,
): Promise<Uint16Array> {
	const whole = await bytesOf(attributes[dataTag]);
	if (whole) return entriesOf(whole, count);
	const segmented = await bytesOf(attributes[segmentedTag]);
	if (!segmented) throw new Error("The image's colour palette is missing.");
	return expandSegments(entriesOf(segmented, segmented.length >> 1)).subarray(0, count);
}

/** The palette of an image, or undefined for other photometric interpretations. */
export async function paletteOf(attributes: DataSet): Promise<Palette | undefined> {
	if (text(attributes, Tag.PhotometricInterpretation) !== "PALETTE COLOR") return undefined;
	const [entries = 0, first = 0, bits = 16] = numbers(attributes, Tag.RedPaletteDescriptor);
	const count = entries === 0 ? 65536 : entries;
	const signed = text(attributes, Tag.PixelRepresentation) === "1";
	const start = signed && first > 32767 ? first - 65536 : first;
	const [red, green, blue] = await Promise.all(
		CHANNELS.map((each) => channel(attributes, each, count)),
	);
	if (!red || !green || !blue) return undefined;
	const used = Math.max(
		...[red, green, blue].map((each) => each.reduce((a, b) => Math.max(a, b), 0)),
	);
	// Some writers say 16 bits and store 8; the engine goes by the descriptor.
	return { descriptor: [count, start, used > 255 ? 16 : Math.min(bits, 8)], red, green, blue };
}
