import { describe, expect, it } from "vitest";
import { dataSet } from "../model/dataset-builder";
import { defaultRange, paddingOf, valueRange } from "./default-window";

describe("the window of an image that brings none", () => {
	it("PIX-06: leaves padding out", () => {
		expect(valueRange([-2000, 0, 100, -2000], { lower: -2000, upper: -2000 })).toEqual([0, 100]);
		expect(valueRange([5, 5], { lower: 5, upper: 5 })).toBeUndefined();
	});

	it("knows padding in the units of the modality LUT, whichever bound comes first", () => {
		const ct = dataSet({
			PixelRepresentation: 1,
			PixelPaddingValue: -2000,
			RescaleSlope: 2,
			RescaleIntercept: -1000,
		});
		expect(paddingOf(ct)).toEqual({ lower: -5000, upper: -5000, step: 2 });
		expect(paddingOf(dataSet({ PixelPaddingValue: 10, PixelPaddingRangeLimit: 5 }))).toEqual({
			lower: 5,
			upper: 10,
			step: 1,
		});
		expect(paddingOf(dataSet({}))).toBeUndefined();
		// The VR of padding is often US where the pixels are signed.
		expect(paddingOf(dataSet({ PixelRepresentation: 1, PixelPaddingValue: 63536 }))).toEqual({
			lower: -2000,
			upper: -2000,
			step: 1,
		});
	});

	it("spans all values; of one value alone it makes black or white", () => {
		expect(defaultRange([3, 9], dataSet({}))).toEqual({ lower: 3, upper: 9 });
		expect(defaultRange([0, 0], dataSet({}))).toEqual({ lower: 0, upper: 1 });
		expect(defaultRange([7, 7], dataSet({}))).toEqual({ lower: 6, upper: 7 });
	});
});
