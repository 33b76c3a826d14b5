/** Palettes of PALETTE COLOR images (PS3.3 C.7.6.3.1.5 and C.7.9.2), whole or segmented. */

import { type DataSet, numbers, text } from "../dicomweb/dicom-json";
import { entriesOf } from "../model/lookup-table";
import { Tag } from "../model/tags";
import { bytesOf } from "./attribute-bytes";

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
