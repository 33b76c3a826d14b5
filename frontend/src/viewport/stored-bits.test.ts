import { describe, expect, it } from "vitest";
import { dataSet } from "../model/dataset-builder";
import {
	cleanValues,
	isRescaledHere,
	isShifted,
	narrowest,
	storedBits,
	valueOfCell,
} from "./stored-bits";

const bitsOf = (stored: number, highBit: number, signed = 0) =>
	storedBits(
		dataSet({
			BitsAllocated: 16,
			BitsStored: stored,
			HighBit: highBit,
			PixelRepresentation: signed,
		}),
	);
const cleaned = (
	values: number[],
	bits: ReturnType<typeof bitsOf>,
	[slope, intercept]: [number, number] = [1, 0],
	rescaled = true,
) => {
	const [lowest, highest] = [Math.min(...values), Math.max(...values)];
	const found = cleanValues({ values, highest, lowest, rescaled, slope, intercept }, bits);
	return found && [...found];
};

describe("PIX-03: stored bits", () => {
	it("masks what lies above High Bit of unsigned values", () => {
		const values = [0xf123 - 1024, 5 - 1024];
		expect(cleaned(values, bitsOf(12, 11), [1, -1024])).toEqual([0x123 - 1024, 5 - 1024]);
	});

	it("leaves clean images alone", () => {
		expect(cleaned([1, 4095], bitsOf(12, 11))).toBeUndefined();
		expect(cleaned([1, 65535], bitsOf(16, 15))).toBeUndefined();
	});

	it("takes values from where High Bit says, sign extended, then rescales", () => {
		const bits = bitsOf(12, 15, 1);
		expect(isShifted(bits)).toBe(true);
		expect(valueOfCell(0x7ff0 | 5, bits)).toBe(2047);
		expect(valueOfCell(0xfff0, bits)).toBe(-1);
		expect(cleaned([0xfff0, 0x0010], bits, [-10, 3], false)).toEqual([13, -7]);
	});

	it("rescales by a negative slope beyond the 16 bits that the engine would choose", () => {
		expect(isRescaledHere(dataSet({ RescaleSlope: -10 }))).toBe(true);
		expect(isRescaledHere(dataSet({ RescaleSlope: 10 }))).toBe(false);
		expect(cleaned([0, 4095], bitsOf(12, 11), [-10, 3000], false)).toEqual([3000, -37950]);
	});

	it("keeps fractions, and chooses the narrowest array that holds the values", () => {
		expect(cleaned([0x1001 + 0.5], bitsOf(12, 11), [0.5, 0])).toEqual([1.5]);
		expect(narrowest(Float32Array.of(-1, 2))).toBeInstanceOf(Int16Array);
		expect(narrowest(Float32Array.of(0, 65535))).toBeInstanceOf(Uint16Array);
		expect(narrowest(Float32Array.of(-1, 65535))).toBeInstanceOf(Float32Array);
	});
});
