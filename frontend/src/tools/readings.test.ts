import { describe, expect, it } from "vitest";
import { dataSet } from "../model/dataset-builder";
import { readingLines, readingsOf } from "./readings";

const ct = dataSet({ Modality: "CT", PixelSpacing: [0.5, 0.5] });
const dx = dataSet({ Modality: "DX", ImagerPixelSpacing: [0.1, 0.1] });
const none = dataSet({ Modality: "CR" });
const us = dataSet({
	Modality: "US",
	SequenceOfUltrasoundRegions: [
		dataSet({
			PhysicalUnitsXDirection: 3,
			PhysicalUnitsYDirection: 3,
			PhysicalDeltaX: 0.01,
			PhysicalDeltaY: 0.01,
		}),
	],
});

describe("readings", () => {
	it("says millimetres, and what they rest on where that matters", () => {
		expect(readingLines("length", { length: 12.345, unit: "mm" }, ct)).toEqual(["12.3\u2009mm"]);
		expect(readingLines("length", { length: 12.345, unit: "mm" }, dx)).toEqual([
			"12.3\u2009mm (pixel spacing: imager)",
		]);
	});

	it("PIX-09: refuses millimetres where there is no spacing", () => {
		expect(readingLines("length", { length: 120, unit: "px" }, none)).toEqual([
			"120\u2009px (pixel spacing: none)",
		]);
	});

	it("turns the engine's ultrasound centimetres into millimetres", () => {
		expect(readingsOf("length", { length: 1.06, unit: "cm US Region" }, us)[0]).toMatchObject({
			unit: "mm",
		});
		expect(readingsOf("length", { length: 1.06, unit: "cm US Region" }, us)[0]?.value).toBeCloseTo(
			10.6,
		);
		expect(readingsOf("ellipse", { area: 2, areaUnit: "cm² US Region" }, us)[0]?.value).toBeCloseTo(
			200,
		);
	});

	it("gives Hounsfield units only where they are", () => {
		expect(readingLines("probe", { value: 42.4 }, ct)).toEqual(["42\u2009HU"]);
		expect(readingLines("probe", { value: 42.4 }, none)).toEqual(["42.4"]);
	});

	it("reads a colour probe by its channels", () => {
		expect(readingLines("probe", { value: undefined, channels: [200, 30, 10] }, us)).toEqual([
			"Red 200",
			"Green 30",
			"Blue 10",
		]);
	});

	it("lists an area with its statistics, names included", () => {
		const lines = readingLines(
			"ellipse",
			{ area: 168.2, areaUnit: "mm²", mean: 13, stdDev: 148, min: -606, max: 95 },
			ct,
		);
		expect(lines).toEqual([
			"Area 168.2\u2009mm²",
			"Mean 13\u2009HU",
			"SD 148\u2009HU",
			"Min \u2212606\u2009HU",
			"Max 95\u2009HU",
		]);
	});

	it("waits for numbers instead of inventing them", () => {
		expect(readingsOf("length", {}, ct)).toEqual([]);
		expect(readingsOf("ellipse", { area: Number.NaN, mean: null }, ct)).toEqual([]);
	});
});
