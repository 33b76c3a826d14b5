/** What of an image's values is picture, and the range of an image that brings no window. */

import { type DataSet, number } from "../dicomweb/dicom-json";
import { look } from "../model/lookup-table";
import { Tag } from "../model/tags";
import type { Range } from "../model/voi";
import { modalityTable } from "./lookup-tables";

/** Lowest and highest value, padding left out (PS3.3 C.7.5.1.1.2). */
export function valueRange(
	values: ArrayLike<number>,
	padding: Pick<Padding, "lower" | "upper"> | undefined,
): readonly [number, number] | undefined {
	let low = Number.POSITIVE_INFINITY;
	let high = Number.NEGATIVE_INFINITY;
	for (let index = 0; index < values.length; index += 1) {
		const value = values[index] ?? 0;
		if (padding && value >= padding.lower && value <= padding.upper) continue;
		if (value < low) low = value;
		if (value > high) high = value;
	}
	return low <= high ? [low, high] : undefined;
}

/** A padding value as the pixels have it: its VR is often US where they are signed. */
function asStored(attributes: DataSet, value: number): number {
	const modulus = 2 ** (number(attributes, Tag.BitsAllocated) ?? 16);
	const wrapped = ((value % modulus) + modulus) % modulus;
	const signed = number(attributes, Tag.PixelRepresentation) === 1;
	return signed && wrapped >= modulus / 2 ? wrapped - modulus : wrapped;
}

/** Values that are no picture, in output units of the modality LUT. */
export interface Padding {
	readonly lower: number;
	readonly upper: number;
	/** How far apart neighbouring values are. */
	readonly step: number;
}

/** Pixel Padding (PS3.3 C.7.5.1.1.2), whichever bound comes first; undefined when there is none. */
export function paddingOf(attributes: DataSet): Padding | undefined {
	const value = number(attributes, Tag.PixelPaddingValue);
	if (value === undefined) return undefined;
	const limit = number(attributes, Tag.PixelPaddingRangeLimit) ?? value;
	const table = modalityTable(attributes);
	const slope = (number(attributes, Tag.RescaleSlope) ?? 1) || 1;
	const intercept = number(attributes, Tag.RescaleIntercept) ?? 0;
	const [a = 0, b = 0] = [value, limit]
		.map((each) => asStored(attributes, each))
		.map((each) => (table ? look(table, each) : each * slope + intercept));
	return { lower: Math.min(a, b), upper: Math.max(a, b), step: table ? 1 : Math.abs(slope) };
}

/** All values but padding, or all that a modality LUT can give; one single value is black or white. */
export function defaultRange(values: ArrayLike<number>, attributes: DataSet): Range {
	const table = modalityTable(attributes);
	if (table) return { lower: 0, upper: 2 ** table.bits - 1 };
	const found = valueRange(values, paddingOf(attributes)) ?? valueRange(values, undefined);
	const [lower, upper] = found ?? [0, 1];
	if (upper > lower) return { lower, upper };
	return upper <= 0 ? { lower: 0, upper: 1 } : { lower: lower - 1, upper };
}
