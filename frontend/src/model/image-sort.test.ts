import { describe, expect, it } from "vitest";
import { text } from "../dicomweb/dicom-json";
import { slice } from "./dataset-builder";
import { sortInstances } from "./image-sort";
import { Tag } from "./tags";

const numbers = (sorted: readonly ReturnType<typeof slice>[]) =>
	sorted.map((each) => Number(text(each, Tag.InstanceNumber)));

describe("sortInstances", () => {
	it("orders slices by position in the direction of the instance numbers", () => {
		expect(numbers(sortInstances([slice(3, 30), slice(1, 10), slice(2, 20)]))).toEqual([1, 2, 3]);
		expect(numbers(sortInstances([slice(1, 30), slice(3, 10), slice(2, 20)]))).toEqual([1, 2, 3]);
	});

	it("trusts positions where single instance numbers are swapped", () => {
		const sorted = sortInstances([slice(1, 10), slice(3, 20), slice(2, 30), slice(4, 40)]);
		expect(numbers(sorted)).toEqual([1, 3, 2, 4]);
	});

	it("falls back to instance numbers when two slices share a place", () => {
		const sorted = sortInstances([slice(4, 20), slice(1, 20), slice(3, 10), slice(2, 10)]);
		expect(numbers(sorted)).toEqual([1, 2, 3, 4]);
	});

	it("falls back to instance numbers when orientations differ", () => {
		const sagittal = slice(2, 5, { ImageOrientationPatient: [0, 1, 0, 0, 0, -1] });
		expect(numbers(sortInstances([slice(3, 1), sagittal, slice(1, 9)]))).toEqual([1, 2, 3]);
	});

	it("puts instances without a number last, in a stable order", () => {
		const lost = slice(9, 0, { InstanceNumber: [], ImagePositionPatient: [] });
		expect(text(sortInstances([lost, slice(1, 1)])[1] ?? {}, Tag.SOPInstanceUID)).toBe("1.2.9");
	});
});
