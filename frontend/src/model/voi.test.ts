import { describe, expect, it } from "vitest";
import { dataSet } from "./dataset-builder";
import { look, lookAll, lookupTable } from "./lookup-table";
import {
	greyAt,
	isInverted,
	rangeOf,
	rangeOfWindow,
	recordedWindows,
	shapeOf,
	type VoiFunction,
	voiAlternatives,
	windowOfRange,
} from "./voi";

const shape = (how: VoiFunction) => ({ kind: "function", function: how }) as const;

/** PS3.3 C.11.2.1.2 and C.11.2.1.3, by the letter. */
function byTheLetter(how: VoiFunction, x: number, c: number, w: number): number {
	if (how === "SIGMOID") return 1 / (1 + Math.exp((-4 * (x - c)) / w));
	if (how === "LINEAR_EXACT") return Math.min(1, Math.max(0, (x - c) / w + 0.5));
	if (x <= c - 0.5 - (w - 1) / 2) return 0;
	if (x > c - 0.5 + (w - 1) / 2) return 1;
	return (x - (c - 0.5)) / (w - 1) + 0.5;
}

describe("PIX-04: VOI LUT Function", () => {
	for (const how of ["LINEAR", "LINEAR_EXACT", "SIGMOID"] as const) {
		for (const [center, width] of [
			[40, 400],
			[2048, 4096],
			[0.5, 1],
			[-600.5, 1500],
		] as const) {
			it(`${how} of ${center}/${width} is what the standard says, within half a grey level`, () => {
				const { lower, upper } = rangeOfWindow({ center, width }, how);
				for (let x = center - width * 3; x <= center + width * 3; x += width / 7) {
					const value = Math.round(x);
					const grey = greyAt(shape(how), (value - lower) / (upper - lower));
					expect(Math.abs(grey - byTheLetter(how, value, center, width)) * 255).toBeLessThan(0.5);
				}
			});
			it(`${how} of ${center}/${width} is told from its range again`, () => {
				const back = windowOfRange(rangeOfWindow({ center, width }, how), shape(how));
				expect(back.center).toBeCloseTo(center, 1);
				expect(back.width).toBeCloseTo(width, 1);
			});
		}
	}

	it("reads a LINEAR window narrower than 1, which the standard forbids, exactly", () => {
		const [window] = recordedWindows(dataSet({ WindowCenter: 0.2, WindowWidth: 0.4 }));
		expect(window?.function).toBe("LINEAR_EXACT");
	});

	it("passes over windows without width and functions nobody knows", () => {
		expect(recordedWindows(dataSet({ WindowCenter: [1, 2], WindowWidth: [0, 5] }))).toHaveLength(1);
		const odd = dataSet({ WindowCenter: 1, WindowWidth: 2, VOILUTFunction: "CUBIC" });
		expect(recordedWindows(odd)[0]?.function).toBe("LINEAR");
	});
});

describe("PIX-05: lookup tables", () => {
	const bytes = (...words: number[]) => new Uint8Array(Uint16Array.from(words).buffer);

	it("clamps to the first and last entry", () => {
		const table = lookupTable(dataSet({ LUTDescriptor: [3, 10, 8] }), bytes(7, 8, 9), false);
		expect(table && [...lookAll(table, [-5, 10, 11, 12, 400])]).toEqual([7, 7, 8, 9, 9]);
	});

	it("takes 0 entries for 65536", () => {
		const all = Uint16Array.from({ length: 65536 }, (_, index) => index);
		const table = lookupTable(
			dataSet({ LUTDescriptor: [0, 0, 16] }),
			new Uint8Array(all.buffer),
			false,
		);
		expect(table?.entries).toHaveLength(65536);
		expect(table && look(table, 65535)).toBe(65535);
	});

	it("reads the first value mapped as signed where values are", () => {
		const item = dataSet({ LUTDescriptor: [2, 65536 - 100, 12] });
		expect(lookupTable(item, bytes(1, 4095), true)?.first).toBe(-100);
		expect(lookupTable(item, bytes(1, 4095), false)?.first).toBe(65436);
	});

	it("knows packed bytes, and bits that are told wrong", () => {
		const packed = lookupTable(
			dataSet({ LUTDescriptor: [4, 0, 8] }),
			Uint8Array.of(1, 2, 3, 4),
			false,
		);
		expect([...(packed?.entries ?? [])]).toEqual([1, 2, 3, 4]);
		expect(lookupTable(dataSet({ LUTDescriptor: [2, 0, 16] }), bytes(0, 255), false)?.bits).toBe(8);
		expect(lookupTable(dataSet({ LUTDescriptor: [2, 0, 8] }), bytes(0, 4095), false)?.bits).toBe(
			12,
		);
	});

	it("offers windows first, then tables, named by their explanation", () => {
		const table = { first: 5, entries: Uint16Array.of(0, 4095), bits: 12, name: "HARDER" };
		const both = voiAlternatives(dataSet({ WindowCenter: 1, WindowWidth: 2 }), [table]);
		expect(both.map((each) => each.name)).toEqual(["recorded", "harder"]);
		const lut = both[1];
		expect(lut && rangeOf(lut)).toEqual({ lower: 4.5, upper: 6.5 });
		expect(lut && greyAt(shapeOf(lut), 1)).toBe(1);
		expect(lut && greyAt(shapeOf(lut), 0.5)).toBeCloseTo(0.5);
	});
});

describe("PIX-02: polarity", () => {
	it.each([
		["MONOCHROME2", "IDENTITY", false],
		["MONOCHROME2", "INVERSE", true],
		["MONOCHROME1", "IDENTITY", true],
		["MONOCHROME1", "INVERSE", true],
	])("%s with %s", (PhotometricInterpretation, PresentationLUTShape, inverted) => {
		expect(isInverted(dataSet({ PhotometricInterpretation, PresentationLUTShape }))).toBe(inverted);
	});
});
