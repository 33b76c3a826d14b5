import { describe, expect, it } from "vitest";
import { type DataSet, number, text } from "../dicomweb/dicom-json";
import { dataSet } from "./dataset-builder";
import { displaySetsOf, firstFrameIndex, frameRate } from "./display-sets";
import { slice } from "./dataset-builder";
import { frameAttributes, framesOf } from "./frames";
import { Tag } from "./tags";

const group = (tag: string, item: ReturnType<typeof dataSet>) => ({
	[tag]: { vr: "SQ", Value: [item] },
});
const enhanced = {
	...dataSet({ SOPInstanceUID: "1.2.3", NumberOfFrames: "2", SliceThickness: 9 }),
	[Tag.SharedFunctionalGroupsSequence]: {
		vr: "SQ",
		Value: [
			{
				...group("00289110", dataSet({ SliceThickness: 3, PixelSpacing: [0.5, 0.5] })),
				...group("00289145", dataSet({ RescaleSlope: 2 })),
			},
		],
	},
	[Tag.PerFrameFunctionalGroupsSequence]: {
		vr: "SQ",
		Value: [
			group("00209113", dataSet({ ImagePositionPatient: [0, 0, 1] })),
			{
				...group("00209113", dataSet({ ImagePositionPatient: [0, 0, 2] })),
				...group("00289145", dataSet({ RescaleSlope: 5 })),
			},
		],
	},
};

describe("frameAttributes", () => {
	it("PIX-08: per-frame groups override shared ones, and both override the top level", () => {
		const [first, second] = [frameAttributes(enhanced, 1), frameAttributes(enhanced, 2)];
		expect(number(first, Tag.SliceThickness)).toBe(3);
		expect(number(first, Tag.RescaleSlope)).toBe(2);
		expect(number(second, Tag.RescaleSlope)).toBe(5);
		expect(second[Tag.ImagePositionPatient]?.Value).toEqual([0, 0, 2]);
	});

	it("never lets a referenced instance rename this one", () => {
		const referring = {
			...enhanced,
			[Tag.SharedFunctionalGroupsSequence]: {
				vr: "SQ",
				Value: [group("00081140", dataSet({ SOPInstanceUID: "9.9" }))],
			},
		};
		expect(text(frameAttributes(referring, 1), Tag.SOPInstanceUID)).toBe("1.2.3");
	});
});

describe("framesOf", () => {
	it("counts frames from 1 and takes a broken count for one frame", () => {
		expect(framesOf(enhanced).map((frame) => frame.frameNumber)).toEqual([1, 2]);
		expect(framesOf(dataSet({ NumberOfFrames: "1A" }))).toHaveLength(1);
	});
});

describe("displaySetsOf", () => {
	it("makes one stack of single frames and one of each multi-frame instance", () => {
		const sets = displaySetsOf([slice(2, 2), slice(1, 1), slice(3, 3, { NumberOfFrames: 4 })]);
		expect(sets.map((set) => set.frames.length)).toEqual([2, 4]);
		expect(sets.map((set) => set.multiFrame)).toEqual([false, true]);
	});

	it("says whether one stack holds all images of the series", () => {
		const report = slice(5, 5, { SOPClassUID: "1.2.840.10008.5.1.4.1.1.88.33", Rows: [] });
		const whole = (...instances: DataSet[]) =>
			displaySetsOf(instances).map((set) => set.wholeSeries);
		expect(whole(slice(1, 1), slice(2, 2), report)).toEqual([true, false]);
		expect(whole(slice(1, 1), slice(2, 2, { NumberOfFrames: 4 }))).toEqual([false, false]);
	});

	it("keeps reports apart from images and objects without pixels off the stack", () => {
		const report = slice(5, 5, { SOPClassUID: "1.2.840.10008.5.1.4.1.1.88.33", Rows: [] });
		const empty = slice(6, 6, { Rows: [] });
		expect(displaySetsOf([report, empty, slice(1, 1)]).map((set) => set.kind)).toEqual([
			"image",
			"report",
			"other",
		]);
	});

	it("starts a volume in the middle and everything else at its first frame", () => {
		const volume = displaySetsOf(
			Array.from({ length: 11 }, (_, index) => slice(index + 1, index)),
		)[0];
		expect(volume && firstFrameIndex(volume)).toBe(5);
		const cine = displaySetsOf([
			slice(1, 1, { NumberOfFrames: 40, Modality: "XA", FrameTime: 40 }),
		])[0];
		expect(cine && firstFrameIndex(cine)).toBe(0);
		expect(cine && frameRate(cine)).toBe(25);
	});
});
