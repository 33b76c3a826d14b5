import { describe, expect, it } from "vitest";
import { dataSet } from "../model/dataset-builder";
import { paddingRange, valueRange } from "./default-window";

describe("the window of an image that brings none", () => {
	it("PIX-06: leaves padding out", () => {
		expect(valueRange([-2000, 0, 100, -2000], [-2000, -2000])).toEqual([0, 100]);
		expect(valueRange([5, 5], [5, 5])).toBeUndefined();
	});

	it("knows padding in the units of the modality LUT, whichever bound comes first", () => {
		const ct = dataSet({ PixelPaddingValue: -2000, RescaleSlope: 2, RescaleIntercept: -1000 });
		expect(paddingRange(ct)).toEqual([-5000, -5000]);
		expect(paddingRange(dataSet({ PixelPaddingValue: 10, PixelPaddingRangeLimit: 5 }))).toEqual([
			5, 10,
		]);
		expect(paddingRange(dataSet({}))).toBeUndefined();
	});
});
