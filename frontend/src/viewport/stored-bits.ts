/** Stored values as Bits Stored and High Bit say (PS3.5 8.1.1): other bits may hold anything. */

import { type DataSet, number } from "../dicomweb/dicom-json";
import { Tag } from "../model/tags";

export interface StoredBits {
	readonly allocated: number;
	readonly stored: number;
	readonly highBit: number;
	readonly signed: boolean;
}

export function storedBits(attributes: DataSet): StoredBits {
	const allocated = number(attributes, Tag.BitsAllocated) ?? 16;
	const stored = number(attributes, Tag.BitsStored) ?? allocated;
	return {
		allocated,
		stored,
		highBit: number(attributes, Tag.HighBit) ?? stored - 1,
		signed: number(attributes, Tag.PixelRepresentation) === 1,
	};
}

/** Values that do not lie in the lowest bits; the engine's decoder would take the wrong ones. */
export function isShifted({ allocated, stored, highBit }: StoredBits): boolean {
	return stored < allocated && allocated <= 16 && highBit !== stored - 1;
}

/**
 * Whether slope and intercept are left to us: of values that the engine would take from the wrong
 * bits, and where its decoder chooses an array by ends that a negative slope has swapped, so that
 * values would overflow.
 */
export function isRescaledHere(attributes: DataSet): boolean {
	return isShifted(storedBits(attributes)) || (number(attributes, Tag.RescaleSlope) ?? 1) < 0;
}

/** One value out of a cell of `allocated` bits, sign extended. */
export function valueOfCell(cell: number, { stored, highBit, signed }: StoredBits): number {
	const left = 31 - highBit;
	return signed ? (cell << left) >> (32 - stored) : (cell << left) >>> (32 - stored);
}

/** The narrowest array that the engine draws and that holds the values exactly. */
export function narrowest(values: Float32Array): Int16Array | Uint16Array | Float32Array {
	let low = 0;
	let high = 0;
	for (const value of values) {
		if (!Number.isInteger(value)) return values;
		if (value < low) low = value;
		if (value > high) high = value;
	}
	if (low >= 0 && high <= 65535) return Uint16Array.from(values);
	return low >= -32768 && high <= 32767 ? Int16Array.from(values) : values;
}

/** What the engine made of the cells of an image. */
export interface Decoded {
	readonly values: ArrayLike<number>;
	readonly highest: number;
	readonly lowest: number;
	/** False where rescaling is left to us. */
	readonly rescaled: boolean;
	readonly slope: number;
	readonly intercept: number;
}

/**
 * Rescaled values with stray bits taken out; undefined when there is nothing to do.
 */
export function cleanValues(
	decoded: Decoded,
	bits: StoredBits,
): Int16Array | Uint16Array | Float32Array | undefined {
	const { values, slope, intercept, rescaled } = decoded;
	const toCell = (value: number) => (rescaled ? Math.round((value - intercept) / slope) : value);
	const narrow = bits.stored < bits.allocated && bits.allocated <= 16;
	const highest = Math.max(toCell(decoded.highest), toCell(decoded.lowest));
	const masked = isShifted(bits) || (narrow && !bits.signed && highest > 2 ** bits.stored - 1);
	if (rescaled && !masked) return undefined;
	const out = new Float32Array(values.length);
	for (let index = 0; index < out.length; index += 1) {
		const cell = toCell(values[index] ?? 0);
		out[index] = (masked ? valueOfCell(cell, bits) : cell) * slope + intercept;
	}
	return narrowest(out);
}
