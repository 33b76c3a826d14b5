/** Lookup tables of the data set: Modality and VOI LUTs (PS3.3 C.11.1, C.11.2). */

import { type DataSet, number, numbers, text } from "../dicomweb/dicom-json";
import { Tag } from "./tags";

export interface LookupTable {
	/** The input value that the first entry belongs to. */
	readonly first: number;
	readonly entries: Uint16Array;
	/** Bits an entry has: its greatest meaning is 2**bits - 1. */
	readonly bits: number;
	/** LUT Explanation, "" when there is none. */
	readonly name: string;
}

const LARGEST = 65536;

/** Entries from little-endian bytes; 8-bit tables may be packed one entry a byte. */
export function entriesOf(bytes: Uint8Array, count: number): Uint16Array {
	if (bytes.length < count * 2) return Uint16Array.from(bytes.subarray(0, count));
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return Uint16Array.from({ length: Math.min(count, bytes.length >> 1) }, (_, index) =>
		view.getUint16(index * 2, true),
	);
}

/** Number of entries (0 stands for 65536), first value mapped, bits an entry. */
function descriptor(item: DataSet, signedInput: boolean): [number, number, number] | undefined {
	const [count, first, bits] = numbers(item, Tag.LUTDescriptor);
	if (count === undefined || first === undefined || bits === undefined) return undefined;
	// The VR follows Pixel Representation, but is often written as US for signed data.
	const start = signedInput && first >= LARGEST / 2 ? first - LARGEST : first;
	return [count % LARGEST || LARGEST, start, bits];
}

/** The descriptor's bits; more where entries need more, 8 where 16 are claimed for bytes. */
function trueBits(entries: Uint16Array, bits: number): number {
	const needed = 32 - Math.clz32(entries.reduce((a, b) => Math.max(a, b), 0));
	if (needed > bits || bits === 0) return Math.max(needed, 1);
	return bits > 15 && needed <= 8 ? 8 : bits;
}

/** One item of a LUT sequence with the bytes of its LUT Data; undefined when it is no table. */
export function lookupTable(
	item: DataSet,
	bytes: Uint8Array | undefined,
	signedInput: boolean,
): LookupTable | undefined {
	const described = descriptor(item, signedInput);
	if (!described || !bytes || bytes.length === 0) return undefined;
	const [count, first, bits] = described;
	const entries = entriesOf(bytes, count);
	return { first, entries, bits: trueBits(entries, bits), name: text(item, Tag.LUTExplanation) };
}

/** Values outside take the nearest entry (PS3.3 C.11.2.1.1). */
export function look(table: LookupTable, value: number): number {
	const index = Math.round(value) - table.first;
	return table.entries[Math.min(Math.max(0, index), table.entries.length - 1)] ?? 0;
}

/** Every value's entry. */
export function lookAll(table: LookupTable, values: ArrayLike<number>): Uint16Array {
	const out = new Uint16Array(values.length);
	for (let index = 0; index < out.length; index += 1) out[index] = look(table, values[index] ?? 0);
	return out;
}

/** Whether what goes into the VOI LUT may be negative. */
export function signedAfterModality(attributes: DataSet): boolean {
	return (
		number(attributes, Tag.PixelRepresentation) === 1 ||
		(number(attributes, Tag.RescaleIntercept) ?? 0) < 0
	);
}
