import { describe, expect, it } from "vitest";
import { entriesOf } from "../model/lookup-table";
import { expandSegments, paletteOf } from "./palette";
import { dataSet } from "../model/dataset-builder";
import { Tag } from "../model/tags";

describe("palettes", () => {
	it("expands discrete, linear and indirect segments (PS3.3 C.7.9.2)", () => {
		expect([...expandSegments(Uint16Array.of(0, 2, 10, 20, 1, 4, 60))]).toEqual([
			10, 20, 30, 40, 50, 60,
		]);
		// An indirect segment repeats one earlier segment at its byte offset.
		expect([...expandSegments(Uint16Array.of(0, 2, 7, 8, 2, 1, 0, 0))]).toEqual([7, 8, 7, 8]);
	});

	it("reads little-endian words, and bytes where a table is packed", () => {
		expect([...entriesOf(Uint8Array.of(1, 2, 3, 4), 2)]).toEqual([0x0201, 0x0403]);
		expect([...entriesOf(Uint8Array.of(1, 2), 2)]).toEqual([1, 2]);
	});

	it("tells 8-bit tables in 16-bit clothes by their values", async () => {
		const lut = (bytes: string) => ({ vr: "OW", InlineBinary: btoa(bytes) });
		const palette = await paletteOf({
			...dataSet({ PhotometricInterpretation: "PALETTE COLOR", RedPaletteDescriptor: [2, 0, 16] }),
			[Tag.RedPaletteData]: lut("\x01\x00\xff\x00"),
			[Tag.GreenPaletteData]: lut("\x02\x00\x03\x00"),
			[Tag.BluePaletteData]: lut("\x04\x00\x05\x00"),
		});
		expect(palette?.descriptor).toEqual([2, 0, 8]);
		expect([...(palette?.red ?? [])]).toEqual([1, 255]);
	});

	it("has nothing to say about other images", async () => {
		expect(await paletteOf(dataSet({ PhotometricInterpretation: "MONOCHROME2" }))).toBeUndefined();
	});
});
